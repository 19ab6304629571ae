//! A connection over which both sides say that they live.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use audience_background::Stop;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use socket2::{SockRef, TcpKeepalive};

use super::frame;

/// Between signs of life.
const BEAT: Duration = Duration::from_millis(500);
/// A process that was not heard of for so long is lost.
pub const SILENCE: Duration = Duration::from_secs(4);

/// Small messages go at once; what the other side does not confirm within [`SILENCE`] breaks the connection, also where
/// nobody reads.
pub fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let probe = Duration::from_secs(1);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(probe).with_interval(probe).with_retries(3))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(SILENCE))?;
    Ok(())
}

type OnLost = Box<dyn FnOnce(String) + Send>;

#[derive(Default)]
struct LinkState {
    /// Given once the other side is lost.
    stop: Stop,
    lost: Option<String>,
    on_lost: Option<OnLost>,
}

impl LinkState {
    fn lose(state: &Mutex<LinkState>, reason: String) {
        let mut state = state.lock();
        if state.lost.is_none() {
            state.lost = Some(reason.clone());
            state.stop.request();
            let on_lost = state.on_lost.take();
            drop(state);
            if let Some(on_lost) = on_lost {
                on_lost(reason);
            }
        }
    }
}

/// A connection over which both sides say that they live.
pub struct Link {
    stream: TcpStream,
    writer: Arc<Mutex<TcpStream>>,
    state: Arc<Mutex<LinkState>>,
}

impl Link {
    /// Begins to say `beat` now and then, and to take what comes.
    pub fn start<In: DeserializeOwned>(
        stream: TcpStream,
        beat: impl Serialize + Send + 'static,
        mut take: impl FnMut(In) + Send + 'static,
    ) -> io::Result<Link> {
        tune(&stream)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let mut reader = stream.try_clone()?;
        let writer = Arc::new(Mutex::new(stream.try_clone()?));
        let state = Arc::new(Mutex::new(LinkState::default()));
        let (read_state, beat_state, beat_writer) = (state.clone(), state.clone(), writer.clone());
        std::thread::Builder::new().name("link-reader".to_owned()).spawn(move || {
            loop {
                match frame::read(&mut reader) {
                    Ok(message) => take(message),
                    Err(error) => return LinkState::lose(&read_state, reason(&error)),
                }
            }
        })?;
        std::thread::Builder::new().name("link-beat".to_owned()).spawn(move || {
            let stop = beat_state.lock().stop.clone();
            while !stop.is_requested() {
                if let Err(error) = write(&beat_writer, &beat) {
                    return LinkState::lose(&beat_state, reason(&error));
                }
                stop.wait(BEAT);
            }
        })?;
        Ok(Link { stream, writer, state })
    }

    /// Says something.
    pub fn send(&self, message: &impl Serialize) -> io::Result<()> {
        write(&self.writer, message)
    }

    /// Why the other side is lost, if it is.
    pub fn lost(&self) -> Option<String> {
        self.state.lock().lost.clone()
    }

    /// Waits until the other side is lost, at most for that long.
    pub fn wait_lost(&self, patience: Duration) {
        let stop = self.state.lock().stop.clone();
        stop.wait(patience);
    }

    /// Tells once the other side is lost; at once where it is.
    pub fn on_lost(&self, tell: impl FnOnce(String) + Send + 'static) {
        let mut state = self.state.lock();
        match state.lost.clone() {
            Some(reason) => {
                drop(state);
                tell(reason);
            }
            None => state.on_lost = Some(Box::new(tell)),
        }
    }

    /// Ends it, untold.
    pub fn close(&self) {
        self.state.lock().on_lost = None;
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

fn write(writer: &Mutex<TcpStream>, message: &impl Serialize) -> io::Result<()> {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, message)?;
    writer.lock().write_all(&bytes)
}

/// Returns a connection's fault as a sentence about the process at its other end.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => format!("nothing was heard of it for {SILENCE:?}"),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => "its process closed the connection".to_owned(),
        _ => error.to_string(),
    }
}
