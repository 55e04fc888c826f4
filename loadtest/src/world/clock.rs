//! The clock a simulator stamps its records with: the real one, or one that a test sets.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// What time a simulator believes it is. Clones share the setting.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Mutex<Option<Timestamp>>>);

impl Clock {
    /// The time that was set, else the machine's.
    pub fn now(&self) -> Timestamp {
        self.lock().unwrap_or_else(Timestamp::now)
    }

    /// Stops the clock at `time`.
    pub fn set(&self, time: Timestamp) {
        *self.lock() = Some(time);
    }

    /// Stops the clock, if it still runs, and moves it on by `step`.
    pub fn advance(&self, step: SignedDuration) {
        let mut fixed = self.lock();
        let time = fixed.unwrap_or_else(Timestamp::now);
        *fixed = Some(time + step);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same instant without its fraction of a second.
pub(crate) fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).expect("a second of a valid time is valid")
}

/// The same instant without what is finer than a microsecond.
pub(crate) fn whole_microsecond(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).expect("a part of a valid time is valid")
}
