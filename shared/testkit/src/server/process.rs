//! The server's process, and the guard that ends it when we are gone.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::blocking_connection;
use crate::TestkitError;

/// A server answers within milliseconds; this is for a machine that does ten other things.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How long an orderly stop may take to save.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at something only a look can tell.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How much of a log an error carries.
const LOG_TAIL_BYTES: usize = 2_000;

/// Ends the server when the pipe on its input closes, which the system does however we end.
///
/// The parent-death signal would follow the thread that started the server, and a test's thread
/// ends long before the server that tests share.
const GUARD: &str = r#"read -r _; kill -9 "$1" 2>/dev/null; rm -rf "$2""#;

/// How to start one server, again and again.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) binary: PathBuf,
    pub(super) dir: PathBuf,
    pub(super) socket: PathBuf,
    pub(super) args: Vec<String>,
}

/// A server that answers; dropping it is kill −9.
#[derive(Debug)]
pub(super) struct Running {
    server: Child,
    guard: Child,
}

impl Command {
    /// Adds one setting.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.args.extend([format!("--{name}"), value.to_owned()]);
    }

    /// Starts the server and waits until it answers on its unix socket.
    ///
    /// The socket is in our own directory, so nobody else's server can answer, and a server that
    /// could not have its port ends before it serves the socket.
    pub(super) fn launch(&self) -> Result<Running, TestkitError> {
        let starting = TestkitError::machine("starting the server");
        let log = File::create(self.log()).and_then(|log| Ok((log.try_clone()?, log)));
        let (stdout, stderr) = log.map_err(TestkitError::machine("opening the server's log"))?;
        let server = std::process::Command::new(&self.binary)
            .args(&self.args)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .map_err(starting)?;
        let mut running = self.guarded(server)?;
        self.wait_until_ready(&mut running.server)?;
        Ok(running)
    }

    fn guarded(&self, mut server: Child) -> Result<Running, TestkitError> {
        use std::os::unix::process::CommandExt;
        let guard = std::process::Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(server.id().to_string())
            .arg(&self.dir)
            // An interrupt from the terminal must reach us, not the guard.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match guard {
            Ok(guard) => Ok(Running { server, guard }),
            Err(source) => {
                end(&mut server);
                Err(TestkitError::Machine { doing: "starting the server's guard", source })
            }
        }
    }

    fn wait_until_ready(&self, server: &mut Child) -> Result<(), TestkitError> {
        let started = Instant::now();
        loop {
            if has_ended(server) {
                return Err(TestkitError::Ended { log: self.log_tail() });
            }
            match self.ping() {
                Ok(()) => return Ok(()),
                Err(error) if started.elapsed() > READY_WITHIN => {
                    let last = error.to_string();
                    return Err(TestkitError::NotReady { within: READY_WITHIN, last });
                }
                Err(_) => sleep(LOOK_EVERY),
            }
        }
    }

    fn connection(&self) -> redis::RedisResult<redis::Connection> {
        blocking_connection(&format!("redis+unix://{}", self.socket.display()), READY_WITHIN)
    }

    fn ping(&self) -> redis::RedisResult<()> {
        redis::cmd("PING").query(&mut self.connection()?)
    }

    /// Removes what the server stored; its log and its place in a cluster stay.
    pub(super) fn forget_data(&self) -> Result<(), TestkitError> {
        let forgetting = || TestkitError::machine("removing what the server stored");
        for entry in fs::read_dir(&self.dir).map_err(forgetting())? {
            let path = entry.map_err(forgetting())?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("appendonlydir") {
                fs::remove_dir_all(&path).map_err(forgetting())?;
            } else if name.ends_with(".rdb") || name.ends_with(".aof") {
                fs::remove_file(&path).map_err(forgetting())?;
            }
        }
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.dir.join("redis.log")
    }

    fn log_tail(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned()
    }
}

impl Running {
    pub(super) fn pid(&self) -> u32 {
        self.server.id()
    }

    /// Returns once the process has stopped, or has ended.
    pub(super) fn pause(&self) {
        self.signal(Signal::STOP);
        // Without NOWAIT this would take the end of the process from whoever waits for it.
        let changed = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_child(&self.server)), changed).expect("we have not waited for our child yet");
    }

    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.server), signal).expect("a child we have not waited for takes signals");
    }

    /// Saves what the server holds and ends it.
    pub(super) fn save_and_stop(mut self, command: &Command) {
        self.resume();
        if let Ok(mut connection) = command.connection() {
            // The answer to a shutdown that works is the end of the connection.
            let _: redis::RedisResult<()> = redis::cmd("SHUTDOWN").arg("SAVE").query(&mut connection);
        }
        let asked = Instant::now();
        while !has_ended(&mut self.server) {
            assert!(asked.elapsed() < STOP_WITHIN, "the server did not save: {}", command.log_tail());
            sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The guard first: closing its input would make it remove the directory.
        end(&mut self.guard);
        end(&mut self.server);
    }
}

fn has_ended(child: &mut Child) -> bool {
    child.try_wait().expect("nobody else waits for our child").is_some()
}

/// Kills and waits; both only fail for a child that has been waited for already.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
