//! A proxy before a server, which cuts what passes through it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::serve::pause;

/// The moment at which a commit is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitCut {
    /// The server never hears of it.
    Before,
    /// The server has it, and its answer is lost.
    After,
}

/// A proxy that can be cut, and slowed down.
#[derive(Clone)]
pub struct Proxy {
    /// Its address.
    pub address: SocketAddr,
    server: SocketAddr,
    is_broker: bool,
    is_cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    commit_cut: Arc<Mutex<Option<CommitCut>>>,
    /// Milliseconds that every piece takes, up to 64 KiB.
    delay: Arc<AtomicU64>,
}

impl Proxy {
    /// A proxy before the server at that address.
    pub fn begin(server: &str) -> Proxy {
        Proxy::before(server, false)
    }

    /// A proxy before a broker of Kafka that calls itself by this address: what it tells of itself leads to the proxy.
    pub fn begin_as_broker(server: &str) -> Proxy {
        Proxy::before(server, true)
    }

    fn before(server: &str, is_broker: bool) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let proxy = Proxy {
            address: listener.local_addr().expect("its address"),
            server: server.parse().expect("an address of the loopback"),
            is_broker,
            is_cut: Arc::default(),
            open: Arc::default(),
            commit_cut: Arc::default(),
            delay: Arc::default(),
        };
        let here = proxy.clone();
        std::thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(|client| here.join(client)));
        proxy
    }

    /// Cuts all connections, and takes none for so many milliseconds.
    pub fn cut(&self, milliseconds: u64) {
        self.set_cut(true);
        pause(milliseconds);
        self.set_cut(false);
    }

    /// Cuts all connections and takes none, or takes them again.
    pub fn set_cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::Release);
        if is_cut {
            self.open.lock().expect("no panic").drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        }
    }

    /// Lets every piece of what passes take so many milliseconds, up to 64 KiB at once.
    pub fn slow_down(&self, milliseconds: u64) {
        self.delay.store(milliseconds, Ordering::Release);
    }

    fn delay(&self) {
        match self.delay.load(Ordering::Acquire) {
            0 => {}
            milliseconds => pause(milliseconds),
        }
    }

    /// Cuts the connection on which PostgreSQL is asked to commit next.
    pub fn cut_next_commit(&self, at: CommitCut) {
        *self.commit_cut.lock().expect("no panic") = Some(at);
    }

    fn join(&self, client: TcpStream) {
        if self.is_cut.load(Ordering::Acquire) {
            return;
        }
        let Ok(server) = TcpStream::connect(self.server) else { return };
        let copy = |stream: &TcpStream| stream.try_clone().expect("a handle");
        let (here, from, to) = (self.clone(), copy(&client), copy(&server));
        std::thread::spawn(move || here.carry_requests(from, to));
        let (here, from, to) = (self.clone(), copy(&server), copy(&client));
        std::thread::spawn(move || here.carry_answers(from, to));
        let mut open = self.open.lock().expect("no panic");
        // Each of them holds a file open.
        open.retain(|stream| stream.peer_addr().is_ok());
        open.extend([client, server]);
    }

    fn carry_requests(&self, client: TcpStream, server: TcpStream) {
        carry(&client, &server, |bytes| {
            self.delay();
            if !contains(bytes, b"COMMIT\0") {
                return true;
            }
            let cut = self.commit_cut.lock().expect("no panic").take();
            if cut == Some(CommitCut::After) {
                // The client hears nothing of it, whatever the server answers.
                let _ = client.shutdown(Shutdown::Both);
            }
            cut != Some(CommitCut::Before)
        });
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Write);
    }

    fn carry_answers(&self, server: TcpStream, client: TcpStream) {
        let port = |address: SocketAddr| [b"127.0.0.1".as_slice(), &u32::from(address.port()).to_be_bytes()].concat();
        let (from, to) = (port(self.server), port(self.address));
        carry(&server, &client, |bytes| {
            self.delay();
            let mut at = 0;
            while self.is_broker
                && let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from)
            {
                at += found;
                bytes[at..at + to.len()].copy_from_slice(&to);
            }
            true
        });
        let _ = client.shutdown(Shutdown::Both);
    }
}

/// Carries bytes until either end closes, or `may_pass` says no.
fn carry(mut from: &TcpStream, mut to: &TcpStream, mut may_pass: impl FnMut(&mut [u8]) -> bool) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        if !may_pass(&mut buffer[..read]) || to.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
