//! Finding programs, and starting children that do not outlive us.

use std::{
    collections::BTreeMap,
    env,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tokio::process::Command;

const PORTS: Range<u16> = 15_000..32_000;
const PORT_TRIES: usize = 100;

/// The first of these programs that is on `PATH`.
pub(super) fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|file| file.is_file())
}

/// `tributary`: as `TRIBUTARY_BIN` says, else beside this program, else where `make build` puts it.
///
/// # Errors
/// When there is none, with what to do.
pub(super) fn tributary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("TRIBUTARY_BIN") {
        return Ok(path.into());
    }
    let here = env::current_exe().context("finding this program")?;
    // A test's program lies one folder deeper than the binaries.
    let beside = here.ancestors().skip(1).take(2).map(|folder| folder.join("tributary"));
    let built = PathBuf::from("target/release/tributary");
    beside
        .chain([built])
        .find(|file| file.is_file())
        .context("no `tributary` beside this program; `make build` makes it")
}

/// A child with these settings and no other `TRIBUTARY_*`, which dies when we do.
///
/// The kernel ties its life to the *thread* that starts it: start children from a thread that
/// lasts, such as the one a test or `main` blocks on.
pub(super) fn child(program: &Path, settings: &BTreeMap<String, String>) -> Command {
    let mut command = match on_path(&["setpriv"]) {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("TRIBUTARY_") {
            command.env_remove(name);
        }
    }
    command.envs(settings).stdin(std::process::Stdio::null()).kill_on_drop(true);
    command
}

/// A TCP port of 127.0.0.1 that nobody listens on.
///
/// Drawn from below the range that the kernel hands out itself, so that nobody's outgoing
/// connection takes it before the child does, or between two lives of the child.
pub(super) fn free_port() -> Result<u16> {
    let drawn = std::iter::repeat_with(|| rand::random_range(PORTS)).take(PORT_TRIES);
    let mut free = drawn.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.next().with_context(|| format!("{PORT_TRIES} ports of {PORTS:?} were all taken"))
}

/// The last lines of a log, indented; a word about it when there are none.
pub(super) fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    let last = &all[all.len().saturating_sub(lines)..];
    if last.is_empty() {
        return "    (it wrote nothing)".to_owned();
    }
    last.iter().map(|line| format!("    {line}\n")).collect::<String>().trim_end().to_owned()
}
