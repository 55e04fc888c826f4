//! A private Redis, gone with us.

use std::{
    env,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use settings::{RedisUrl, Settings};

/// How long the server may take until its socket is there.
const READY_WITHIN: Duration = Duration::from_secs(5);
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// A server without network and without a memory of its own: nothing is kept.
pub(crate) struct Embedded {
    child: Child,
    dir: tempfile::TempDir,
}

impl Embedded {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// No server is installed, or it does not start.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let program = program().context(
            "no redis-server or valkey-server is installed: run `make redis`, or your system's package manager \
             (apt-get install redis-server), or set TRIBUTARY_REDIS_URL and leave --embedded out",
        )?;
        let dir = tempfile::Builder::new().prefix("tributary-redis-").tempdir().context("making a folder for Redis")?;
        let mut command = Command::new("setpriv");
        // The server ends when we do, however we end.
        command.args(["--pdeathsig", "KILL", "--"]).arg(&program);
        if Command::new("setpriv").arg("--version").stdout(Stdio::null()).status().is_err() {
            command = Command::new(&program);
        }
        let child = command
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"])
            .args(["--unixsocket", "redis.sock", "--unixsocketperm", "700", "--logfile", "redis.log", "--dir"])
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // Ctrl-C is for us: Redis must be there until everything is drained.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let embedded = Self { child, dir };
        let begun = Instant::now();
        while !embedded.socket().exists() {
            anyhow::ensure!(begun.elapsed() < READY_WITHIN, "{} does not listen", program.display());
            std::thread::sleep(Duration::from_millis(5));
        }
        eprintln!("started a private Redis; nothing in it is kept");
        Ok(embedded)
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The temporary folder has a name that is no text.
    pub(crate) fn redis_url(&self) -> anyhow::Result<RedisUrl> {
        let url = format!("unix://{}", self.socket().to_str().context("the socket's path is not text")?);
        Ok(Settings::load([("TRIBUTARY_REDIS_URL".to_owned(), url)], &[], None)?.redis_url)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Nothing can be done about a server that does not want to die, and the folder goes anyway.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// The server: as a variable says, on the path, or where `make redis` puts it.
fn program() -> Option<PathBuf> {
    if let Some(path) = env::var_os("TRIBUTARY_REDIS_SERVER") {
        return Some(PathBuf::from(path));
    }
    let folders = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let here = env::current_dir().map(|here| here.join(".redis/bin"));
    let everywhere = folders.into_iter().chain(here);
    everywhere.flat_map(|folder| PROGRAMS.map(|program| folder.join(program))).find(|path| path.is_file())
}
