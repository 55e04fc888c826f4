//! A TCP proxy with faults that change while it runs.

mod pump; // one direction of one connection

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use pump::pump;

/// What the proxy does to every connection, open ones and later ones; the default is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Everything arrives so much later, in both directions; bandwidth stays.
    pub delay: Duration,
    /// Each piece arrives later by a random share of this, too; order stays.
    pub jitter: Duration,
    /// Passes so many bytes more in this direction of each connection; the next byte resets it (RST
    /// to both ends). `(Direction::Answers, 0)` lets a request through and takes its answer away.
    pub reset_after: Option<(Direction, u64)>,
    /// Ends this direction of each connection in order (FIN); the other one goes on.
    pub half_close: Option<Direction>,
    /// Whether anything passes at all.
    pub link: Link,
}

/// A direction through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Answers,
}

/// Whether anything passes at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Link {
    /// Everything passes.
    #[default]
    Open,
    /// Nothing passes and nobody is told, as across a partition; what is on its way waits.
    Frozen,
    /// Open connections are reset, and new ones as soon as they are made.
    Cut,
}

/// Listens on loopback and passes every connection on to one server.
///
/// Dropping it closes every connection; new ones are refused.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    faults: watch::Sender<Faults>,
    accepted: Arc<AtomicU64>,
    // Aborts the listening and every connection when dropped.
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port and passes on to `server`, without faults.
    ///
    /// The server need not be there yet: a connection that cannot be passed on is reset.
    ///
    /// # Panics
    /// When the machine gives no port.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let addr = listener.local_addr().expect("a bound listener has an address");
        let faults = watch::Sender::new(Faults::default());
        let accepted = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, server, faults.subscribe(), Arc::clone(&accepted)));
        Self { addr, faults, accepted, _tasks: tasks }
    }

    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on these faults and no others.
    ///
    /// Bytes for [`Faults::reset_after`] are counted from here, on open connections too.
    pub fn apply(&self, faults: Faults) {
        self.faults.send_replace(faults);
    }

    /// Resets every connection, and every new one, until [`Proxy::heal`].
    pub fn cut(&self) {
        self.apply(Faults { link: Link::Cut, ..Faults::default() });
    }

    /// Lets nothing pass, and tells nobody, until [`Proxy::heal`].
    pub fn freeze(&self) {
        self.apply(Faults { link: Link::Frozen, ..Faults::default() });
    }

    /// No faults any more. What waited passes; what was reset or half-closed stays so.
    pub fn heal(&self) {
        self.apply(Faults::default());
    }

    /// Connections taken so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

async fn listen(listener: TcpListener, server: SocketAddr, faults: watch::Receiver<Faults>, accepted: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            taken = listener.accept() => {
                let Ok((client, _)) = taken else { continue };
                accepted.fetch_add(1, Ordering::Relaxed);
                connections.spawn(pass(client, server, faults.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Passes one connection on until both directions have ended, or either must be reset.
async fn pass(mut client: TcpStream, server: SocketAddr, faults: watch::Receiver<Faults>) {
    let cut = faults.borrow().link == Link::Cut;
    let server = if cut { None } else { TcpStream::connect(server).await.ok() };
    let Some(mut server) = server else {
        reset(&client);
        return;
    };
    // Small pieces must not wait for more.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let must_reset = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let mut cut = faults.clone();
        tokio::select! {
            ended = async { tokio::try_join!(
                pump(Direction::Requests, from_client, to_server, faults.clone()),
                pump(Direction::Answers, from_server, to_client, faults.clone()),
            ) } => ended.is_err(),
            _ = cut.wait_for(|faults| faults.link == Link::Cut) => true,
        }
    };
    if must_reset {
        reset(&client);
        reset(&server);
    }
}

/// Makes the close that follows a reset: a zero linger discards what was not sent.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}
