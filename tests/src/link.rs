//! A bad line between two programs, as a proxy for TCP that we can measure.
//!
//! Bytes are counted where they enter the line, on the sender's side: what a cut swallows on its way is counted
//! too. All connections share the line. Loss shows to TCP's users as a pause, so here it is one: the line stands
//! still for a retransmission's time, and what follows waits behind it.
//!
//! Cuts come after a number of bytes, not of seconds: at 56 kbit/s five seconds are 35,000 bytes, however fast
//! the machine of the test is. So a test tells the same on a slow machine, only later.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};

/// The largest piece that is carried at once: a packet's load on most networks.
const PIECE_BYTES: usize = 1_460;
/// Bytes the kernel may hold for us before we have read them: with more, much would be sent that never enters
/// the line.
const RECEIVE_BYTES: u32 = 8 << 10;
/// How far the line may be behind its rate and still catch up.
const LATENESS: Duration = Duration::from_millis(5);

/// What a line is like. Times are the test's own: a line 100 times as fast has a hundredth of the delay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Bytes a second in each direction; any number where absent.
    pub bytes_per_s: Option<u64>,
    /// How long a byte is on its way, in each direction.
    pub delay: Duration,
    /// One piece in so many is lost, and comes after a pause.
    pub lost_one_in: Option<u64>,
    /// The pause that a lost piece costs.
    pub retransmission: Duration,
    /// All connections end after so many bytes of the client's, again and again.
    pub cut_every_bytes: Option<u64>,
}

/// The line. Ends with its handle.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    line: Arc<Line>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Line {
    weather: Mutex<Weather>,
    to: Mutex<SocketAddr>,
    up: Direction,
    down: Direction,
    cuts: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Direction {
    bytes: AtomicU64,
    pieces: AtomicU64,
    free_at: Mutex<Option<Instant>>,
}

impl Link {
    /// A line to `to`, on a free port of the loopback address.
    ///
    /// # Errors
    ///
    /// Where no socket can be had.
    pub async fn to(to: SocketAddr, weather: Weather) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // Accepted connections inherit it.
        socket.set_recv_buffer_size(RECEIVE_BYTES)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(128)?;
        let address = listener.local_addr()?;
        let line = Arc::new(Line {
            weather: Mutex::new(weather),
            to: Mutex::new(to),
            up: Direction::default(),
            down: Direction::default(),
            cuts: watch::Sender::new(0),
        });
        let task = tokio::spawn(accept(Arc::clone(&line), listener));
        Ok(Self { address, line, task })
    }

    /// Its near end, as an address for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        *lock(&self.line.weather) = weather;
    }

    /// Puts the far end elsewhere.
    pub fn lead_to(&self, to: SocketAddr) {
        *lock(&self.line.to) = to;
    }

    /// Ends every connection now.
    pub fn cut(&self) {
        self.line.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How often all connections were ended.
    pub fn cuts(&self) -> u64 {
        *self.line.cuts.borrow()
    }

    /// Bytes that entered the line at the client's end.
    pub fn bytes_up(&self) -> u64 {
        self.line.up.bytes.load(Ordering::Relaxed)
    }

    /// Bytes that entered the line at the server's end.
    pub fn bytes_down(&self) -> u64 {
        self.line.down.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn accept(line: Arc<Line>, listener: TcpListener) {
    while let Ok((client, _)) = listener.accept().await {
        let line = Arc::clone(&line);
        tokio::spawn(async move {
            let mut cuts = line.cuts.subscribe();
            let to = *lock(&line.to);
            // Where nobody listens the client sees its connection end, as behind a broken gateway.
            let Ok(server) = TcpStream::connect(to).await else { return };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let both = async {
                tokio::join!(
                    carry(&line, &line.up, from_client, to_server),
                    carry(&line, &line.down, from_server, to_client),
                )
            };
            tokio::select! {
                _ = both => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

/// Carries one direction of a connection until its sender has ended it.
async fn carry(
    line: &Line,
    direction: &Direction,
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
) {
    let (on_the_way, mut arriving) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let sending = async move {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match from.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(length) => {
                    let arrives = enter(line, direction, length).await;
                    if on_the_way.send((arrives, piece[..length].to_vec())).is_err() {
                        break;
                    }
                }
            }
        }
    };
    let receiving = async move {
        while let Some((arrives, piece)) = arriving.recv().await {
            tokio::time::sleep_until(arrives.into()).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(sending, receiving);
}

/// Waits until the line has taken a piece, counts it, and answers when it will arrive.
async fn enter(line: &Line, direction: &Direction, length: usize) -> Instant {
    let weather = *lock(&line.weather);
    let length = length as u64;
    let number = direction.pieces.fetch_add(1, Ordering::Relaxed) + 1;
    let leaves = {
        let mut free_at = lock(&direction.free_at);
        // Timers wake up to a millisecond late; the line makes up for so much.
        let now = Instant::now();
        let earliest = now.checked_sub(LATENESS).unwrap_or(now);
        let mut at = free_at.unwrap_or(now).max(earliest);
        if let Some(rate) = weather.bytes_per_s {
            at += Duration::from_nanos(length.saturating_mul(1_000_000_000) / rate.max(1));
        }
        if weather.lost_one_in.is_some_and(|one_in| number.is_multiple_of(one_in)) {
            at += weather.retransmission;
        }
        *free_at = Some(at);
        at
    };
    tokio::time::sleep_until(leaves.into()).await;
    let before = direction.bytes.fetch_add(length, Ordering::Relaxed);
    if let Some(every) = weather.cut_every_bytes
        && std::ptr::eq(direction, &raw const line.up)
        && (before + length) / every > before / every
    {
        line.cuts.send_modify(|cuts| *cuts += 1);
    }
    leaves + weather.delay
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
