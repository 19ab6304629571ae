//! Listeners and connections: from bound ports to the last answer.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use audience_auth::Auth;
use audience_protocol::Platform;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper::{Request, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::body;
use crate::cors;
use crate::door::Door;
use crate::framing::{Framed, Framing};
use crate::guard;
use crate::options::{ApiOptions, Listen, Scope};
use crate::problem::Problem;
use crate::request::IncomingRequest;
use crate::tls::Tls;

/// The head of a request, request line and headers; longer ones are refused.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// The time limit of a connection to send a head, or be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The time limit for agreeing on TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The first byte of a connection that speaks TLS.
const TLS_HANDSHAKE: u8 = 22;
/// The answer to a client that speaks HTTP in the clear where TLS is spoken.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 46\r\n\
                           connection: close\r\n\r\nthis port speaks TLS: use https in the address";

/// The time after which a client that takes nothing counts as gone.
const TAKE_TIMEOUT: Duration = Duration::from_secs(120);

/// The same while the process stops.
const LAST_TAKE: Duration = Duration::from_secs(2);

/// How long the server waits for a port that is taken.
const PORT_PATIENCE: Duration = Duration::from_secs(1);
/// Between attempts to take it.
const PORT_LOOK: Duration = Duration::from_millis(20);

/// A reason why the server does not start.
#[derive(Debug)]
pub enum ServeError {
    /// A port could not be bound.
    Bind {
        /// The address.
        address: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// A setting is not possible.
    Setting {
        /// The setting.
        name: &'static str,
        /// The possible values.
        message: String,
    },
}

impl fmt::Display for ServeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Bind { address, flag, source } if source.kind() == io::ErrorKind::AddrInUse => write!(
                formatter,
                "port {} of {} is in use by another program: stop that one, or set another port with {flag}",
                address.port(),
                address.ip()
            ),
            ServeError::Bind { address, flag, source } => {
                write!(formatter, "cannot listen on {address}, which {flag} sets: {source}")
            }
            ServeError::Setting { name, message } => write!(formatter, "{name}: {message}"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServeError::Bind { source, .. } => Some(source),
            ServeError::Setting { .. } => None,
        }
    }
}

/// Binds the addresses and answers until `shutdown`; then ends what is under way, and returns.
pub async fn serve(
    platform: Platform,
    auth: Arc<Auth>,
    listen: &[Listen],
    options: ApiOptions,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    Server::bind(platform, auth, listen, options).await?.run(shutdown).await;
    Ok(())
}

/// Waits a little for a port that is taken: that of a process that was just killed is until its last thread has ended. Nothing
/// tells when a port becomes free, so it is tried again.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let begun = Instant::now();
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < PORT_PATIENCE => {
                tokio::time::sleep(PORT_LOOK).await;
            }
            bound => return bound,
        }
    }
}

/// Bound listeners that do not answer yet.
pub struct Server {
    listeners: Vec<(TcpListener, SocketAddr, BoxedFilter<(Response,)>)>,
    door: Door,
}

impl Server {
    /// Binds the addresses, for a platform that is there.
    pub async fn bind(
        platform: Platform,
        auth: Arc<Auth>,
        listen: &[Listen],
        options: ApiOptions,
    ) -> Result<Self, ServeError> {
        let server = Server::bind_early(listen, options).await?;
        server.door.open(platform, auth);
        Ok(server)
    }

    /// Binds the addresses, for a platform that comes through the [`door`](Self::door) later.
    pub async fn bind_early(listen: &[Listen], options: ApiOptions) -> Result<Self, ServeError> {
        check_origins("cors_origins", &options.cors_origins)?;
        check_origins("cors_ingest_origins", &options.cors_ingest_origins)?;
        let door = Door::new(options);
        let mut listeners = Vec::with_capacity(listen.len());
        for Listen { address, scope, flag } in listen {
            let failed = |source| ServeError::Bind { address: *address, flag, source };
            let listener = bind(*address).await.map_err(failed)?;
            let bound = listener.local_addr().map_err(failed)?;
            listeners.push((listener, bound, filter(&door, *scope)));
        }
        Ok(Server { listeners, door })
    }

    /// The door through which a platform comes.
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    /// The addresses, in the order in which they were asked for, with the ports that were free.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|(_, address, _)| *address).collect()
    }

    /// Answers until `shutdown`; then ends what is under way, at most [`ApiOptions::drain_timeout`] long.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(());
        let places = Arc::new(Semaphore::new(self.door.options().max_connections));
        let drain = self.door.options().drain_timeout;
        let mut accepting = JoinSet::new();
        for (listener, _, filter) in self.listeners {
            let context = ConnectionContext { filter, tls: self.door.options().tls.clone(), stopped: stopped.clone() };
            accepting.spawn(accept(listener, context, Arc::clone(&places), drain));
        }
        // Ends with this, like all of its set.
        let mut following = JoinSet::new();
        self.door.options().tls.iter().for_each(|tls| drop(following.spawn(Arc::clone(tls).follow())));
        shutdown.await;
        let api = self.door.api();
        api.iter().for_each(|api| api.draining.store(true, Ordering::Relaxed));
        drop(stop);
        if let Some(api) = api {
            api.close_streams(drain).await;
        }
        while accepting.join_next().await.is_some() {}
    }
}

/// One filter takes every request apart; the tables of the resources do the rest.
fn filter(door: &Door, scope: Scope) -> BoxedFilter<(Response,)> {
    let door = door.clone();
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional())
        .and(warp::ext::optional())
        .and(warp::ws().map(Some).or(warp::any().map(|| None)).unify())
        .and(warp::body::stream())
        .then(move |method, path, query, headers, connection, peer: Option<Peer>, upgrade, body| {
            let (body, peer) = (body::parts(body), peer.map(|Peer(address)| address));
            let request = IncomingRequest { method, query, headers, body, upgrade, connection, peer };
            door.clone().answer(scope, path, request)
        })
        .boxed()
}

/// Refuses a setting of origins with one that is none.
fn check_origins(name: &'static str, origins: &[String]) -> Result<(), ServeError> {
    match cors::faulty_origin(origins) {
        None => Ok(()),
        Some(origin) => {
            let message = format!("{origin:?} is no origin such as https://console.example.com, nor *");
            Err(ServeError::Setting { name, message })
        }
    }
}

/// The things that the connections of a listener share.
#[derive(Clone)]
struct ConnectionContext {
    filter: BoxedFilter<(Response,)>,
    tls: Option<Arc<Tls>>,
    stopped: watch::Receiver<()>,
}

/// Takes connections of a listener until the signal to stop, then waits for those that are open.
async fn accept(listener: TcpListener, context: ConnectionContext, places: Arc<Semaphore>, drain: Duration) {
    let (mut connections, mut stopped) = (JoinSet::new(), context.stopped.clone());
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = next(&listener, &places) => match accepted {
                Ok((stream, place)) => {
                    connections.spawn(connection(stream, context.clone(), place));
                }
                Err(error) => not_accepted(error).await,
            },
        }
    }
    drop(listener);
    end(connections, drain).await;
}

/// Mostly too many open files: waits for some to be closed, wherever in the process, which nothing tells.
async fn not_accepted(error: io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Waits for connections to end, and cuts off those that have not by then.
async fn end(mut connections: JoinSet<()>, drain: Duration) {
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, ended).await.is_err() {
        tracing::warn!(open = connections.len(), "connections were cut off at the end of the time to drain");
        connections.shutdown().await;
    }
}

/// The next connection, once there is a place for it.
async fn next(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

/// The address of the other side of a connection.
#[derive(Clone, Copy)]
struct Peer(IpAddr);

/// Takes a connection, by TLS where that is spoken, and serves it to its end.
async fn connection(stream: TcpStream, context: ConnectionContext, _place: OwnedSemaphorePermit) {
    let _ = stream
        .set_nodelay(true)
        .inspect_err(|error| tracing::debug!(%error, "the connection cannot be set to send without delay"));
    let _ = SockRef::from(&stream)
        .set_tcp_user_timeout(Some(TAKE_TIMEOUT))
        .inspect_err(|error| tracing::debug!(%error, "the connection cannot be given a time limit for sending"));
    let peer = stream.peer_addr().map(|address| Peer(address.ip())).ok();
    let ConnectionContext { filter, tls, mut stopped } = context;
    let Some(tls) = tls else { return requests(stream, peer, filter, stopped).await };
    let agreed = tokio::select! {
        agreed = tokio::time::timeout(HANDSHAKE_TIMEOUT, agree(&tls, stream)) => agreed,
        _ = stopped.changed() => return,
    };
    match agreed.unwrap_or_else(|late| Err(late.into())) {
        Ok(stream) => requests(stream, peer, filter, stopped).await,
        Err(error) => {
            tls.count_failure();
            tracing::debug!(%error, "a connection ended before TLS was agreed on");
        }
    }
}

/// Agrees on TLS. A client that does not speak it is told to.
async fn agree(tls: &Tls, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? > 0 && first[0] != TLS_HANDSHAKE {
        stream.write_all(SPEAK_TLS).await?;
        stream.shutdown().await?;
        // What the client still sends is read: closed with bytes unread, the connection would take the answer back.
        tokio::io::copy(&mut stream.take(MAX_HEAD_BYTES as u64), &mut tokio::io::sink()).await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the client does not speak TLS"));
    }
    tls.acceptor().accept(stream).await
}

/// Answers the requests of a connection.
async fn requests<Io: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: Io,
    peer: Option<Peer>,
    filter: BoxedFilter<(Response,)>,
    mut stopped: watch::Receiver<()>,
) {
    let (stream, framing) = Framed::new(stream);
    let (service, seen) = (TowerToHyperService::new(warp::service(filter)), Arc::clone(&framing));
    let service = service_fn(move |mut request| {
        peer.map(|peer| request.extensions_mut().insert(peer));
        let (service, refused) = (service.clone(), refused(&request, &seen));
        async move {
            match refused {
                Some(answer) => Ok(answer),
                None => service.call(request).await,
            }
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
    // A client that has closed its sending side has still asked, and waits for the answer.
    builder.half_close(true);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = deaf(&framing) => return tracing::debug!("a connection was cut off whose client takes nothing"),
            }
        }
    };
    let _ = ended.inspect_err(|error| tracing::debug!(%error, "a connection ended early"));
}

/// Ends once the client has taken nothing for a while. Nothing tells that bytes are not taken, so it is looked at.
async fn deaf(framing: &Framing) {
    while !framing.is_stuck(LAST_TAKE) {
        tokio::time::sleep(LAST_TAKE / 4).await;
    }
}

/// The answer to a request that is refused whatever it asks: one without a host, or of two lengths, of which a proxy may have
/// believed the other.
fn refused(request: &Request<Incoming>, framing: &Framing) -> Option<Response> {
    let problem = if framing.is_ambiguous() {
        Problem::bad_request("ambiguous_length", "a request has a Content-Length or a Transfer-Encoding, not both")
    } else if request.version() == Version::HTTP_11 && request.headers().get_all(HOST).iter().count() != 1 {
        Problem::bad_request("no_host", "a request has one header Host, which names this server")
    } else {
        return None;
    };
    let mut answer = guard::guarded(problem.into_response(), None);
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Some(answer)
}
