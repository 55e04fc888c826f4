//! How far a run is: a bar with the time that is left on a terminal, plain lines elsewhere; always on standard error.

use std::{
    io::{IsTerminal, stderr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// From one plain line to the next.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Says how far a run is.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    said: Mutex<Instant>,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let template = "{spinner} {wide_bar} {pos} of {len} · {msg} · {elapsed}, about {eta} to go";
            bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Progress { bar, said: Mutex::new(Instant::now()) }
    }

    /// One line.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// So many of so many are done; `how` says how things stand.
    pub(crate) fn reached(&self, done: u64, of: u64, how: &str) {
        if let Some(bar) = &self.bar {
            bar.set_length(of);
            bar.set_position(done);
            bar.set_message(how.to_owned());
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= LINE_EVERY {
            *said = Instant::now();
            eprintln!("{done} of {of} · {how}");
        }
    }

    /// Nothing moves any more.
    pub(crate) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
