//! Real processes of the services on a private Redis, each of which can be killed, paused and stopped.

mod builder; // what a fleet is made of
mod command; // finding programs, and children that die with us
mod process; // one child and its signals
mod redis; // a throwaway server

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

pub use builder::FleetBuilder;
pub use process::Process;
pub use redis::PrivateRedis;

use command::child;

/// How often a process is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// How long an operator's command may take.
const COMMAND_MAX: Duration = Duration::from_secs(60);

/// Which service a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads the sources.
    Fetcher,
    /// Turns records into contributions.
    Normaliser,
    /// Writes to Exist.
    ExistWriter,
    /// Shows pages.
    Console,
}

impl Role {
    /// The three that carry values.
    pub const CARRIERS: [Role; 3] = [Role::Fetcher, Role::Normaliser, Role::ExistWriter];

    /// The subcommand of `tributary` that runs it.
    pub fn command(self) -> &'static str {
        match self {
            Role::Fetcher => "fetcher",
            Role::Normaliser => "normaliser",
            Role::ExistWriter => "exist-writer",
            Role::Console => "console",
        }
    }
}

/// The processes, their Redis and their logs; dropping it kills them all.
pub struct Fleet {
    binary: PathBuf,
    settings: BTreeMap<String, String>,
    processes: Vec<Process>,
    redis: Option<PrivateRedis>,
    logs: PathBuf,
    /// Holds `logs`, unless the caller wants to keep them.
    _dir: TempDir,
}

impl Fleet {
    /// A fleet of one process of each carrying service, on a private Redis.
    pub fn builder() -> FleetBuilder {
        FleetBuilder::default()
    }

    /// Starts one more process of a service, under the next free name such as `fetcher-2`.
    ///
    /// # Errors
    /// When the program cannot be started. Whether it stays up is [`Fleet::check`]'s to say.
    pub fn spawn(&mut self, role: Role) -> Result<&mut Process> {
        self.spawn_with(role, &[])
    }

    /// The same with further variables that only this process gets.
    ///
    /// # Errors
    /// As for [`Fleet::spawn`].
    pub fn spawn_with(&mut self, role: Role, variables: &[(&str, &str)]) -> Result<&mut Process> {
        let number = self.processes.iter().filter(|process| process.role() == role).count() + 1;
        let name = format!("{}-{number}", role.command());
        let log = self.logs.join(format!("{name}.log"));
        let mut settings = self.settings.clone();
        settings.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let process = Process::start(&self.binary, role, name, log, &settings)?;
        self.processes.push(process);
        Ok(self.processes.last_mut().expect("it was pushed just now"))
    }

    /// Every process ever started, the ended ones too, in order.
    pub fn processes(&mut self) -> &mut [Process] {
        &mut self.processes
    }

    /// The process of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn process(&mut self, name: &str) -> &mut Process {
        let found = self.processes.iter_mut().find(|process| process.name() == name);
        found.unwrap_or_else(|| panic!("no process is called {name}"))
    }

    /// The private Redis; none when the builder was given another one's address.
    pub fn redis(&mut self) -> Option<&mut PrivateRedis> {
        self.redis.as_mut()
    }

    /// Where each process writes `<name>.log`.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Waits until `/readyz` of every process that should run answers 200.
    ///
    /// # Errors
    /// When one of them has ended, or is not ready within `limit`; with the end of its log.
    pub async fn ready(&mut self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        for index in 0..self.processes.len() {
            loop {
                self.check()?;
                let process = &self.processes[index];
                if !process.should_run() {
                    break;
                }
                let answer = process.readiness().await;
                match answer {
                    Ok(()) => break,
                    Err(error) if Instant::now() >= deadline => {
                        return Err(error).with_context(|| {
                            format!("{} was not ready in {limit:?}\n{}", process.name(), process.tail())
                        });
                    }
                    Err(_) => sleep(ASK_EVERY).await,
                }
            }
        }
        Ok(())
    }

    /// Passes while every process that nobody ended still runs.
    ///
    /// # Errors
    /// Names the first that has ended by itself, how, and the end of its log.
    pub fn check(&mut self) -> Result<()> {
        for process in &mut self.processes {
            if let Some(status) = process.ended_by_itself()? {
                bail!("{} ended by itself ({status}); the end of its log:\n{}", process.name(), process.tail());
            }
        }
        Ok(())
    }

    /// Runs `tributary connections import` on these rows; returns what it printed.
    ///
    /// # Errors
    /// As for [`Fleet::run`].
    pub async fn import(&self, rows: &Value) -> Result<String> {
        let mut file = tempfile::NamedTempFile::new_in(self._dir.path()).context("making the import file")?;
        std::io::Write::write_all(&mut file, rows.to_string().as_bytes()).context("writing the import file")?;
        let path = file.path().to_str().context("the import file's path is not text")?;
        self.run(&["connections", "import", path]).await
    }

    /// Runs one operator's command with the fleet's settings; returns its standard output.
    ///
    /// # Errors
    /// When it cannot be started, takes longer than a minute, or fails; with what it said.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let what = || format!("tributary {}", arguments.join(" "));
        let mut command = child(&self.binary, &self.settings);
        let run = command.args(arguments).kill_on_drop(true).output();
        let output = tokio::time::timeout(COMMAND_MAX, run).await.with_context(what)?.with_context(what)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`{}` failed ({}): {}", what(), output.status, said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Asks every process to leave (SIGTERM) and waits; returns the names of those that had to be killed.
    ///
    /// # Errors
    /// When a signal cannot be sent.
    pub async fn stop(&mut self, limit: Duration) -> Result<Vec<String>> {
        let mut killed = Vec::new();
        for process in self.processes.iter_mut().filter(|process| process.should_run()) {
            process.terminate()?;
        }
        let deadline = Instant::now() + limit;
        for process in &mut self.processes {
            let left = deadline.saturating_duration_since(Instant::now());
            if process.wait(left).await.is_none() {
                process.kill9()?;
                killed.push(process.name().to_owned());
            }
        }
        Ok(killed)
    }
}
