//! One private Redis: its own directory, TCP port and unix socket, and nothing kept by default.

mod connect; // a connection with timeouts
mod find; // which server binary to run
mod port; // loopback ports nobody uses
mod process; // the child, and the guard that ends it with us
mod shared; // one server for a whole test process

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use crate::TestkitError;
pub use connect::connect;
pub(crate) use connect::{blocking_connection, on_blocking_thread};
use process::{Command, Running};
pub use shared::{redis, unique_prefix};

/// How often another port is tried when somebody took the one that was free a moment ago.
const PORT_TRIES_MAX: u32 = 8;
/// The unix socket's name in the server's directory, which is where the server runs.
const SOCKET: &str = "redis.sock";

/// A private Redis server, ended when this is dropped and when the test process ends.
///
/// It evicts nothing (`noeviction`) and stores nothing on disk unless its [`Builder`] says so.
/// Verbs that end or stop it take `&mut self`, so the server that tests share
/// ([`redis()`](crate::redis())) cannot be hurt by one of them.
#[derive(Debug)]
pub struct Redis {
    running: Option<Running>,
    command: Command,
    port: u16,
    // After `running`: the directory goes when the process is gone.
    dir: TempDir,
}

/// What a restarted server still has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// A running server saves before it stops; one that was killed has what was on its disk.
    Kept,
    /// Nothing, as after a lost disk. A cluster node still knows its place in the cluster.
    Lost,
}

/// How a [`Redis`] differs from the default.
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    settings: Vec<(String, String)>,
    cluster: bool,
}

impl Builder {
    /// Appends every write to a file that is flushed once a second, as in production: a kill −9
    /// loses nothing written, a lost machine at most the last second.
    pub fn appendonly_everysec(self) -> Self {
        self.setting("appendonly", "yes").setting("appendfsync", "everysec")
    }

    /// Refuses writes past so many bytes.
    pub fn maxmemory(self, bytes: u64) -> Self {
        self.setting("maxmemory", &bytes.to_string())
    }

    /// Any other line of `redis.conf`; a later one wins.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes it a cluster node: its bus port is 10,000 above its port.
    pub(crate) fn cluster_node(mut self) -> Self {
        self.cluster = true;
        self.setting("cluster-enabled", "yes")
            .setting("cluster-require-full-coverage", "no")
            .setting("cluster-node-timeout", "2000")
            .setting("cluster-announce-ip", "127.0.0.1")
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// When no server can be had; the message is that of [`TestkitError`].
    pub async fn start(self) -> Redis {
        self.try_start().await.unwrap_or_else(|error| panic!("{}", error.chain()))
    }

    /// Starts it and waits until it answers, at most 20 seconds.
    ///
    /// # Errors
    /// - [`TestkitError::NoServer`], [`TestkitError::NamedServerMissing`]: install one.
    /// - [`TestkitError::Ended`]: a setting it refuses; the log names it.
    /// - [`TestkitError::NotReady`], [`TestkitError::Machine`]: the machine is out of something.
    pub async fn try_start(self) -> Result<Redis, TestkitError> {
        on_blocking_thread(move || self.launch()).await
    }

    /// [`Builder::try_start`] for a thread that may block.
    pub(crate) fn launch(self) -> Result<Redis, TestkitError> {
        let binary = find::server()?;
        let mut tries = 1;
        loop {
            let dir = tempfile::Builder::new()
                .prefix("testkit-redis-")
                .tempdir()
                .map_err(TestkitError::machine("making a directory for the server"))?;
            let port = port::free(self.cluster)?;
            let command = self.command(binary.clone(), dir.path().to_owned(), port);
            match command.launch() {
                Ok(running) => return Ok(Redis { running: Some(running), command, port, dir }),
                Err(TestkitError::Ended { log })
                    if log.contains("Failed listening on port") && tries < PORT_TRIES_MAX =>
                {
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn command(&self, binary: PathBuf, dir: PathBuf, port: u16) -> Command {
        let socket = dir.join(SOCKET);
        let mut command = Command { binary, dir, socket, args: Vec::new() };
        command.set("port", &port.to_string());
        command.set("bind", "127.0.0.1");
        command.set("unixsocket", SOCKET);
        command.set("save", "");
        command.set("appendonly", "no");
        command.set("maxmemory-policy", "noeviction");
        // A fresh replica has nothing for five seconds otherwise, and a failover would lose it all.
        command.set("repl-diskless-sync-delay", "0");
        for (name, value) in &self.settings {
            command.set(name, value);
        }
        command
    }
}

impl Redis {
    /// Starts a server that stores nothing on disk.
    ///
    /// # Panics
    /// When no server can be had; the message is that of [`TestkitError`].
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A server that differs from the default.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `redis://127.0.0.1:PORT/`, the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// `redis+unix://PATH`, the same after a restart.
    #[must_use]
    pub fn unix_url(&self) -> String {
        format!("redis+unix://{}", self.command.socket.display())
    }

    /// Where it listens, for a [`Proxy`](crate::Proxy) in front of it.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The process id; none between [`Redis::kill9`] and [`Redis::restart`].
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Running::pid)
    }

    /// The directory it keeps its files in; gone with this handle.
    #[must_use]
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// A new connection, see [`connect`].
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn connection(&self) -> MultiplexedConnection {
        connect(&self.url()).await
    }

    /// Ends the server at once, as a crash would; nothing if it has ended already.
    ///
    /// Returns when the process is gone.
    pub fn kill9(&mut self) {
        self.running = None;
    }

    /// Starts it again on the same port and in the same directory, and waits until it answers.
    ///
    /// A running server is stopped first, a paused one too: in order with [`Data::Kept`], by
    /// kill −9 with [`Data::Lost`].
    ///
    /// # Panics
    /// When it does not come back; the message is that of [`TestkitError`].
    pub async fn restart(&mut self, data: Data) {
        let running = self.running.take();
        let command = self.command.clone();
        let restarted = on_blocking_thread(move || {
            match (running, data) {
                (Some(running), Data::Kept) => running.save_and_stop(&command),
                (running, _) => drop(running),
            }
            if data == Data::Lost {
                command.forget_data()?;
            }
            command.launch()
        });
        self.running = Some(restarted.await.unwrap_or_else(|error| panic!("restarting: {}", error.chain())));
    }

    /// Stops the server's clock (SIGSTOP): connections stay open and nothing is answered.
    ///
    /// Returns when the process has stopped.
    ///
    /// # Panics
    /// When the server is not running.
    pub fn pause(&mut self) {
        self.running.as_ref().expect("only a running server can be paused").pause();
    }

    /// Lets a paused server go on (SIGCONT); nothing if it was not paused.
    ///
    /// # Panics
    /// When the server is not running.
    pub fn resume(&mut self) {
        self.running.as_ref().expect("only a running server can be resumed").resume();
    }
}
