//! `top` on a terminal of the test's own: the terminal is as it was afterwards, however it ends.

use std::{
    fs::File,
    io::Read,
    os::fd::OwnedFd,
    process::Stdio,
    sync::mpsc,
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};
use tokio::time::timeout;

use crate::stand::{Stand, run};

const SOON: Duration = Duration::from_secs(60);
/// How a terminal is told to leave the other screen, and to show the cursor.
const LEFT: &str = "\u{1b}[?1049l";
const CURSOR: &str = "\u{1b}[?25h";

/// Two ends of a terminal: what stands on it, and where programs run.
struct Terminal {
    inner: OwnedFd,
    shown: mpsc::Receiver<Vec<u8>>,
    keys: OwnedFd,
    text: String,
}

impl Terminal {
    fn open() -> Self {
        let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&outer).unwrap();
        unlockpt(&outer).unwrap();
        let name = ptsname(&outer, Vec::new()).unwrap();
        let inner = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        tcsetwinsize(&inner, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let keys = outer.try_clone().unwrap();
        let (told, shown) = mpsc::channel();
        std::thread::spawn(move || {
            let mut outer = File::from(outer);
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = outer.read(&mut bytes) {
                if told.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { inner, shown, keys, text: String::new() }
    }

    fn end(&self) -> Stdio {
        self.inner.try_clone().unwrap().into()
    }

    /// Waits until something stands on it, or was told to it.
    fn until(&mut self, wanted: &str) {
        let deadline = Instant::now() + SOON;
        while !self.text.contains(wanted) {
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes = self.shown.recv_timeout(left).unwrap_or_else(|_| panic!("no {wanted:?} in {:?}", self.text));
            self.text += &String::from_utf8_lossy(&bytes);
        }
    }

    /// Whether it is ours, key by key and without an echo.
    fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.inner).unwrap().local_modes;
        !modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }
}

/// Runs `top` until its first status stands there, lets `end` end it, and returns its exit code and what was said.
async fn ended_by(settings: &[(&str, &str)], end: impl FnOnce(&Terminal, Pid)) -> (Option<i32>, Option<i32>, String) {
    use std::os::unix::process::ExitStatusExt;
    let stand = Stand::with_people().await;
    let mut terminal = Terminal::open();
    assert!(!terminal.is_raw());
    let mut command = stand.command(&["top", "--every", "1s"]);
    command.envs(settings.iter().copied());
    command.stdin(terminal.end()).stdout(terminal.end()).stderr(terminal.end());
    let mut child = command.spawn().unwrap();
    if settings.is_empty() {
        terminal.until("overdue");
        terminal.until("normalise");
        assert!(terminal.is_raw(), "keys come one by one");
    }
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    end(&terminal, pid);
    let status = timeout(SOON, child.wait()).await.expect("it ends").unwrap();
    terminal.until(LEFT);
    terminal.until(CURSOR);
    assert!(!terminal.is_raw(), "the terminal is as it was");
    (status.code(), status.signal(), terminal.text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_it_and_the_terminal_is_as_it_was() {
    for key in [&b"q"[..], b"\x03"] {
        let (code, _, text) =
            ended_by(&[], |terminal, _| assert_eq!(rustix::io::write(&terminal.keys, key), Ok(1))).await;
        assert_eq!(code, Some(0));
        assert!(!text.contains("planted"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_and_the_terminal_is_as_it_was() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (code, by, _) = ended_by(&[], |_, pid| kill_process(pid, signal).unwrap()).await;
        assert_eq!((code, by), (Some(0), None), "{signal:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_it_and_the_terminal_is_as_it_was() {
    let (code, _, text) = ended_by(&[("FAILPOINTS", "top::draw=1*off->panic(planned)")], |_, _| {}).await;
    assert_eq!(code, Some(101), "{text}");
    let (before, said) = text.split_at(text.find(LEFT).unwrap());
    assert!(before.contains("tributary") && said.contains("planned"), "it is told on the terminal as it was: {text:?}");
}

#[tokio::test]
async fn what_is_no_terminal_is_refused() {
    let stand = Stand::start().await;
    let done = run(stand.command(&["top"]), "").await;
    assert_eq!(done.code, Some(2), "{done}");
    assert_eq!(done.stdout, "");
    assert!(done.stderr.contains("no terminal") && done.stderr.contains("tributary status"), "{done}");
}
