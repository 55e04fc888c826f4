//! The status on the whole terminal, again and again; the terminal is as it was afterwards, whatever happens.

mod draw; // what stands where
mod view; // what is shown, and what changed since

use std::{
    io::{IsTerminal, stdout},
    time::Duration,
};

use anyhow::Context;
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::{AskedWrongly, Operator, dead_letters::length_ms, status};
use view::View;

/// The shortest time between two readings.
const EVERY_MIN: Duration = Duration::from_secs(1);
/// How long a key is waited for before it is asked whether anybody still listens.
const KEY_WITHIN: Duration = Duration::from_millis(100);
/// Keys that wait to be looked at.
const KEYS_MAX: usize = 64;

/// How often, as the command line says it.
pub(crate) fn every(text: &str) -> Result<Duration, String> {
    let every = Duration::from_millis(length_ms(text)?);
    if every < EVERY_MIN { Err("a second is the least".to_owned()) } else { Ok(every) }
}

/// There must be a terminal to draw on.
///
/// # Errors
/// [`AskedWrongly`]: standard output goes elsewhere.
pub(crate) fn must_be_shown() -> Result<(), AskedWrongly> {
    let said = "standard output is no terminal: `tributary status` prints the same once, for pipes and files";
    if stdout().is_terminal() { Ok(()) } else { Err(AskedWrongly(said.to_owned())) }
}

/// The terminal as we use it; dropping it gives it back as it was.
struct Screen(DefaultTerminal);

impl Screen {
    /// Also lets a panic give the terminal back before it is told.
    fn open() -> anyhow::Result<Self> {
        let opened = ratatui::try_init().inspect_err(|_| ratatui::restore());
        opened.map(Self).context("taking the terminal")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
        // A terminal that does not take this has gone.
        let _ = self.0.show_cursor();
    }
}

/// What a key means.
enum Pressed {
    End,
    Scroll(isize),
    Redraw,
}

/// Shows the status until somebody presses `q`, or a signal ends us.
pub(crate) async fn top(operator: &Operator, every: Duration) -> anyhow::Result<()> {
    let mut ends = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal).into_iter();
    let mut end = || ends.next().expect("there are three").context("hearing signals");
    let (mut terminate, mut interrupt, mut hang_up) = (end()?, end()?, end()?);
    let mut view = View::new(operator.settings.redis_url.to_string(), every);
    let (told, mut statuses) = mpsc::channel(1);
    let reading = async {
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if told.send(status::look(operator).await).await.is_err() {
                return Ok(());
            }
        }
    };
    let showing = async {
        let mut screen = Screen::open()?;
        let mut keys = keys();
        loop {
            fail::fail_point!("top::draw");
            screen.0.draw(|frame| draw::draw(frame, &mut view)).context("drawing")?;
            tokio::select! {
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = hang_up.recv() => return Ok(()),
                pressed = keys.recv() => match pressed {
                    Some(Pressed::Scroll(rows)) => view.scroll(rows),
                    Some(Pressed::Redraw) => {}
                    Some(Pressed::End) | None => return Ok(()),
                },
                Some(read) = statuses.recv() => match read {
                    Ok((at_ms, status)) => view.show(at_ms, status),
                    Err(error) => view.fail(format!("{error:#}")),
                },
            }
        }
    };
    // Side by side, so that keys never hold up a reading.
    tokio::select! { done = reading => done, done = showing => done }
}

/// Reads keys beside us, for as long as somebody listens.
fn keys() -> mpsc::Receiver<Pressed> {
    let (told, keys) = mpsc::channel(KEYS_MAX);
    std::thread::spawn(move || {
        while !told.is_closed() {
            let read = event::poll(KEY_WITHIN).and_then(|is_there| is_there.then(event::read).transpose());
            // Without a terminal there are no keys any more.
            let Ok(event) = read else { return };
            if event.and_then(meaning).is_some_and(|pressed| told.blocking_send(pressed).is_err()) {
                return;
            }
        }
    });
    keys
}

fn meaning(event: Event) -> Option<Pressed> {
    let key = match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        Event::Resize(..) => return Some(Pressed::Redraw),
        _ => return None,
    };
    Some(match key.code {
        KeyCode::Char('q') | KeyCode::Esc => Pressed::End,
        // The terminal hands these over as keys while it is ours.
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Pressed::End,
        KeyCode::Up => Pressed::Scroll(-1),
        KeyCode::Down => Pressed::Scroll(1),
        KeyCode::PageUp => Pressed::Scroll(-10),
        KeyCode::PageDown => Pressed::Scroll(10),
        KeyCode::Home => Pressed::Scroll(isize::MIN),
        KeyCode::End => Pressed::Scroll(isize::MAX),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_is_the_least() {
        assert_eq!(every("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(every("1m"), Ok(Duration::from_secs(60)));
        assert!(every("0s").is_err() && every("often").is_err());
    }
}
