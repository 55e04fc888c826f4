//! The simulator's clock: real time unless a test moves it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What the simulator calls now: for token lifetimes, the request window and everybody's local today.
///
/// Clones show the same time. Delays that a fault asks for pass in real time.
#[derive(Clone, Debug, Default)]
pub struct SimClock(Arc<Mutex<Face>>);

#[derive(Debug, Default)]
struct Face {
    ahead: SignedDuration,
    frozen: Option<Timestamp>,
}

impl SimClock {
    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let face = self.face();
        face.frozen.unwrap_or_else(|| Timestamp::now() + face.ahead)
    }

    /// Sets the time; it runs on from there.
    pub fn set(&self, now: Timestamp) {
        let mut face = self.face();
        face.frozen = None;
        face.ahead = now.duration_since(Timestamp::now());
    }

    /// Sets the time and stops it there.
    pub fn freeze(&self, now: Timestamp) {
        self.face().frozen = Some(now);
    }

    /// Moves the time forward, running or stopped.
    pub fn advance(&self, by: Duration) {
        let mut face = self.face();
        match face.frozen {
            Some(now) => face.frozen = Some(now + by),
            None => {
                face.ahead += SignedDuration::try_from(by).expect("a test's step fits 64-bit seconds");
            }
        }
    }

    fn face(&self) -> std::sync::MutexGuard<'_, Face> {
        self.0.lock().expect("nobody panics while holding the clock")
    }
}
