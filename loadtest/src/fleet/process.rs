//! One child, its signals, its log and whether it is ready.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::{Instant, sleep},
};

use super::{
    Role,
    command::{child, free_port, tail},
};

/// Lines of a log that an error shows.
const TAIL_LINES: usize = 25;

/// How long a signalled child may take to stop where it is.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long one question about readiness may take.
const ASK_MAX: Duration = Duration::from_secs(2);

/// A started program; killed when dropped.
pub(super) struct Child(tokio::process::Child);

impl Child {
    pub(super) fn start(mut command: Command) -> std::io::Result<Child> {
        command.spawn().map(Child)
    }

    /// Sends a signal; to one that has ended, nothing.
    pub(super) fn signal(&mut self, signal: Signal) -> Result<()> {
        let Some(id) = self.pid() else { return Ok(()) };
        kill_process(id, signal).with_context(|| format!("sending {signal:?}"))
    }

    /// Stops it, and returns once none of its threads runs: the signal itself does not wait for that.
    pub(super) async fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let Some(id) = self.pid() else { return Ok(()) };
        let deadline = Instant::now() + PAUSE_MAX;
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        while waitid(WaitId::Pid(id), options).context("waiting for a child to pause")?.is_none() {
            ensure!(Instant::now() < deadline, "a child did not pause in {PAUSE_MAX:?}");
            sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.0.id()?).ok()?)
    }

    pub(super) fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.0.try_wait().context("asking after a child")
    }

    pub(super) async fn wait(&mut self) -> Option<ExitStatus> {
        self.0.wait().await.ok()
    }

    /// Kills it and waits until it is gone.
    pub(super) async fn end(&mut self) {
        // One that has ended already is what we want.
        let _ = self.0.kill().await;
    }
}

/// One process of a service.
pub struct Process {
    name: String,
    role: Role,
    admin_port: u16,
    log: PathBuf,
    child: Child,
    should_run: bool,
}

impl Process {
    pub(super) fn start(
        binary: &Path,
        role: Role,
        name: String,
        log: PathBuf,
        settings: &BTreeMap<String, String>,
    ) -> Result<Process> {
        let admin_port = free_port()?;
        let open = || OpenOptions::new().create(true).append(true).open(&log);
        let (out, error) = (open().context("opening a log")?, open().context("opening a log")?);
        let mut command = child(binary, settings);
        command.arg(role.command()).env("TRIBUTARY_ADMIN_ADDR", format!("127.0.0.1:{admin_port}"));
        command.stdout(out).stderr(error);
        let child =
            Child::start(command).with_context(|| format!("starting {} {}", binary.display(), role.command()))?;
        Ok(Process { name, role, admin_port, log, child, should_run: true })
    }

    /// Such as `fetcher-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which service it is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The kernel's number for it; none once it has ended and was waited for.
    pub fn id(&self) -> Option<u32> {
        self.child.0.id()
    }

    /// The base of its admin routes: `http://127.0.0.1:<port>`.
    pub fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin_port)
    }

    /// Whether nobody has told it to end.
    pub fn should_run(&self) -> bool {
        self.should_run
    }

    /// Nobody complains when it ends by itself: it was started so that it would.
    pub fn may_end(&mut self) {
        self.should_run = false;
    }

    /// Kills it without warning (SIGKILL).
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn kill9(&mut self) -> Result<()> {
        self.should_run = false;
        self.child.signal(Signal::KILL)
    }

    /// Asks it to leave (SIGTERM).
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn terminate(&mut self) -> Result<()> {
        self.should_run = false;
        self.child.signal(Signal::TERM)
    }

    /// Stops it where it is (SIGSTOP), as a frozen machine would; none of its threads runs afterwards.
    ///
    /// # Errors
    /// When the signal cannot be sent, or the process has ended.
    pub async fn pause(&mut self) -> Result<()> {
        self.child.pause().await
    }

    /// Lets a paused one go on (SIGCONT).
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn resume(&mut self) -> Result<()> {
        self.child.signal(Signal::CONT)
    }

    /// Waits until it has ended, at most `limit`; none when it still runs.
    pub async fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        tokio::time::timeout(limit, self.child.wait()).await.ok().flatten()
    }

    /// The last lines of its log, indented.
    pub fn tail(&self) -> String {
        tail(&self.log, TAIL_LINES)
    }

    /// All it has written.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        std::fs::read_to_string(&self.log).with_context(|| format!("reading {}", self.log.display()))
    }

    /// How it ended, if nobody asked it to.
    pub(super) fn ended_by_itself(&mut self) -> Result<Option<ExitStatus>> {
        if self.should_run { self.child.try_wait() } else { Ok(None) }
    }

    /// Passes when `/readyz` answers 200.
    ///
    /// # Errors
    /// When nobody answers, or what it answers instead.
    pub async fn readiness(&self) -> Result<()> {
        tokio::time::timeout(ASK_MAX, ask_ready(self.admin_port)).await.context("asking /readyz")?
    }
}

/// A request by hand: no client to set up for one line.
async fn ask_ready(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.context("connecting to the admin port")?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let mut words = answer.split(' ');
    if words.nth(1) == Some("200") {
        return Ok(());
    }
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    bail!("/readyz answers {}: {body}", head.lines().next().unwrap_or("nothing"))
}
