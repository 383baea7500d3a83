//! The connections of the server: how many there are at once, how long one may take for the head of a request, and how they
//! end when the server stops.
//!
//! A connection has its place from the moment it is taken until it ends, handshake included; further ones wait in the
//! kernel's queue. One that says nothing for [`Bounds::head`] is closed, between two requests as well. A server that stops
//! takes no further ones, closes those that rest, and lets requests under way finish for [`Bounds::patience`]; then it cuts
//! them off: whatever they were sent is safe as far as it was acknowledged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

/// Longest time a peer may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The pause after a connection could not be taken: out of file descriptors, usually, and others will be given back.
const PAUSE: Duration = Duration::from_millis(100);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most of them at once.
    pub connections: usize,
    /// Longest time for the head of a request.
    pub head: Duration,
    /// How long requests under way may go on when the server stops.
    pub patience: Duration,
}

/// Answers connections until `stop`, then lets those under way finish.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    bounds: Bounds,
    stop: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(bounds.connections.max(1)));
    let stopping = CancellationToken::new();
    let mut open = JoinSet::new();
    tokio::pin!(stop);
    loop {
        while open.try_join_next().is_some() {}
        let (place, stream, peer) = tokio::select! {
            () = &mut stop => break,
            taken = take(&listener, &room) => taken,
        };
        let connection =
            Connection { peer, router: router.clone(), head: bounds.head, stopping: stopping.clone() };
        let tls = tls.clone();
        open.spawn(async move {
            match tls {
                None => connection.answer(stream).await,
                Some(tls) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                        connection.answer(stream).await;
                    }
                }
            }
            drop(place);
        });
    }
    drop(listener);
    stopping.cancel();
    let all = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(bounds.patience, all).await.is_err() {
        tracing::warn!(connections = open.len(), "requests under way are cut off (limits.shutdown_seconds)");
        open.shutdown().await;
    }
}

/// The next connection, once there is room for one.
async fn take(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, TcpStream, SocketAddr) {
    // The semaphore is never closed.
    let place = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (place, stream, peer),
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// One connection.
struct Connection {
    peer: SocketAddr,
    router: Router,
    head: Duration,
    stopping: CancellationToken,
}

impl Connection {
    async fn answer(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self { peer, router, head, stopping } = self;
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            // A signature at the desk records where it came from.
            request.extensions_mut().insert(ConnectInfo(peer));
            // A router is always ready.
            router.clone().call(request)
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(head);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, %peer, "a connection broke");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::{Notify, oneshot};

    use super::*;

    /// A server whose `/slow` answers when it is told to, and the means to stop it.
    struct Trial {
        address: SocketAddr,
        asked: Arc<Notify>,
        answer: Arc<Notify>,
        stop: oneshot::Sender<()>,
        serving: tokio::task::JoinHandle<()>,
    }

    async fn trial(bounds: Bounds) -> Trial {
        let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (told, waits) = (Arc::clone(&asked), Arc::clone(&answer));
        let slow = async move || {
            told.notify_one();
            waits.notified().await;
            "done"
        };
        let router = Router::new().route("/", get(async || "here")).route("/slow", get(slow));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let serving = tokio::spawn(serve(listener, None, router, bounds, stopped));
        Trial { address, asked, answer, stop, serving }
    }

    const BOUNDS: Bounds =
        Bounds { connections: 10, head: Duration::from_secs(60), patience: Duration::from_secs(60) };

    async fn say(address: SocketAddr, words: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("a server");
        stream.write_all(words.as_bytes()).await.expect("sent");
        stream
    }

    async fn all(mut stream: TcpStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("an end");
        text
    }

    #[tokio::test]
    async fn who_never_ends_the_head_of_a_request_is_cut_off() {
        let trial = trial(Bounds { head: Duration::from_millis(50), ..BOUNDS }).await;
        let began = Instant::now();
        let told = all(say(trial.address, "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await).await;
        assert!(!told.contains("here"), "{told}");
        assert!(began.elapsed() < Duration::from_secs(30), "it was waited for");
    }

    #[tokio::test]
    async fn more_connections_than_there_is_room_for_wait_their_turn() {
        let trial = trial(Bounds { connections: 1, ..BOUNDS }).await;
        let first = say(trial.address, "GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        trial.asked.notified().await;
        let mut second = say(trial.address, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        let mut byte = [0];
        let early = tokio::time::timeout(Duration::from_millis(100), second.read(&mut byte)).await;
        assert!(early.is_err(), "answered beside the one that has the place");
        trial.answer.notify_one();
        assert!(all(first).await.ends_with("done"));
        assert!(all(second).await.ends_with("here"));
    }

    #[tokio::test]
    async fn a_server_that_stops_finishes_requests_closes_what_rests_and_waits_no_longer_than_it_may() {
        let patient = trial(BOUNDS).await;
        let resting = say(patient.address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let slow = say(patient.address, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
        patient.asked.notified().await;
        patient.stop.send(()).expect("it runs");
        assert!(all(resting).await.ends_with("here"), "closed after its answer");
        patient.answer.notify_one();
        assert!(all(slow).await.ends_with("done"), "what was under way is finished");
        patient.serving.await.expect("ended");

        let hasty = trial(Bounds { patience: Duration::from_millis(50), ..BOUNDS }).await;
        let slow = say(hasty.address, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
        hasty.asked.notified().await;
        hasty.stop.send(()).expect("it runs");
        let ended = tokio::time::timeout(Duration::from_secs(30), hasty.serving).await;
        ended.expect("it does not wait for ever").expect("ended");
        assert_eq!(all(slow).await, "", "cut off");
    }
}
