//! A throwaway Redis on a free port of 127.0.0.1, with nothing on disk.

use std::{env, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{
    command::{child, free_port, on_path, tail},
    process::Child,
};

const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// How long a fresh server may take to answer.
const START_MAX: Duration = Duration::from_secs(10);

/// A server of ours alone; dropping it kills it.
pub struct PrivateRedis {
    program: PathBuf,
    port: u16,
    child: Child,
    dir: TempDir,
}

impl PrivateRedis {
    /// Starts `redis-server` or `valkey-server`, found by `TRIBUTARY_REDIS_SERVER`, on `PATH`, or
    /// in `.redis/bin` of this folder or one above, and waits until it answers.
    ///
    /// # Errors
    /// When there is no such program, with how to get it, or when it does not answer.
    pub async fn start() -> Result<PrivateRedis> {
        let program = program()?;
        let dir = tempfile::Builder::new().prefix("tributary-redis-").tempdir().context("making a folder for Redis")?;
        let port = free_port()?;
        let child = run(&program, port, &dir)?;
        let mut redis = PrivateRedis { program, port, child, dir };
        redis.answers().await?;
        Ok(redis)
    }

    /// `redis://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it as a power cut would.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn kill9(&mut self) -> Result<()> {
        self.child.signal(Signal::KILL)
    }

    /// Stops it where it is.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub async fn pause(&mut self) -> Result<()> {
        self.child.pause().await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn resume(&mut self) -> Result<()> {
        self.child.signal(Signal::CONT)
    }

    /// Kills it if it runs, and starts an empty one at the same address.
    ///
    /// # Errors
    /// As for [`PrivateRedis::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.child.end().await;
        self.child = run(&self.program, self.port, &self.dir)?;
        self.answers().await
    }

    async fn answers(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_MAX;
        while ping(self.port).await.is_err() {
            let log = self.dir.path().join("redis.log");
            if self.child.try_wait()?.is_some() || Instant::now() >= deadline {
                bail!("Redis on port {} does not answer; the end of its log:\n{}", self.port, tail(&log, 10));
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

fn program() -> Result<PathBuf> {
    if let Some(path) = env::var_os("TRIBUTARY_REDIS_SERVER") {
        return Ok(path.into());
    }
    let here = env::current_dir().context("finding this folder")?;
    let ours = here.ancestors().flat_map(|folder| PROGRAMS.map(|name| folder.join(".redis/bin").join(name)));
    on_path(&PROGRAMS).or_else(|| ours.into_iter().find(|file| file.is_file())).context(
        "no redis-server or valkey-server on PATH; `make redis` or `apt-get install redis-server` installs one",
    )
}

fn run(program: &std::path::Path, port: u16, dir: &TempDir) -> Result<Child> {
    let port = port.to_string();
    let mut command = child(program, &std::collections::BTreeMap::new());
    command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"]);
    command.args(["--maxmemory-policy", "noeviction", "--logfile", "redis.log"]).arg("--dir").arg(dir.path());
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    Child::start(command).with_context(|| format!("starting {}", program.display()))
}

async fn ping(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    if &answer == b"+PONG" { Ok(()) } else { bail!("not ready yet") }
}
