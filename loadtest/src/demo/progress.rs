//! What is happening: a moving line on a terminal, plain lines elsewhere; always on standard error.

use std::{
    io::{IsTerminal, stderr},
    sync::Mutex,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::world::Played;

/// Says what a demo is doing.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    /// What was said last where there is no terminal, so that it is said once.
    compared: Mutex<(usize, usize)>,
}

impl Progress {
    /// A moving line if standard error is a terminal.
    pub fn new() -> Progress {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("{spinner} {wide_bar} {pos} of {len} numbers right · {elapsed}");
            bar.set_style(style.expect("the template is well-formed"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Progress { bar, compared: Mutex::default() }
    }

    /// One line.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// A round was played.
    pub fn round(&self, title: &str, played: Played) {
        let (right, all) = *self.compared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Played { created, edited, deleted } = played;
        let before = format!("{right} of {all} numbers were right before it");
        self.say(&format!("{title}: {created:>3} records created, {edited:>3} edited, {deleted:>3} deleted; {before}"));
    }

    /// Both sides were compared.
    pub fn compared(&self, equal: usize, all: usize) {
        *self.compared.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = (equal, all);
        if let Some(bar) = &self.bar {
            bar.set_length(u64::try_from(all).unwrap_or(u64::MAX));
            bar.set_position(u64::try_from(equal).unwrap_or(u64::MAX));
        }
    }

    /// Nothing moves any more.
    pub fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Default for Progress {
    fn default() -> Progress {
        Progress::new()
    }
}
