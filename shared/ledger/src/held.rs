//! What stands in Exist, how much of it is ours, and what a request changes of it.

use event::{Decimal, EntryId};
use serde::{Deserialize, Serialize};

use crate::Pair;

/// What is known of what Exist holds for a pair.
///
/// | `value` | `ours` | |
/// |---|---|---|
/// | known | known | as it should be; what others added is the difference |
/// | unknown | known | somebody may have written: increment mode reads before it goes on |
/// | unknown | unknown | a total's outcome is unknown: only writing a total makes it known |
/// | known | unknown | nobody can tell how much is ours: increment mode stops here, and lists it |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Held {
    /// What stands there.
    pub value: Option<Decimal>,
    /// How much of it came from our sum.
    pub ours: Option<Decimal>,
    /// What stood there before us and stays: a total is written on top of it.
    pub adopted: Decimal,
    /// An increment without an answer that was not there when it was read back. Should exactly this much
    /// appear after all, nobody can tell whether it is ours.
    pub doubt: Option<Decimal>,
}

impl Held {
    /// Somebody else wrote: this stands there now. What is ours of it stays, unless it looks like an increment
    /// of ours that was given up.
    #[must_use]
    pub fn found(self, value: Decimal) -> Self {
        let extra = self.value.map(|before| value.minus(before));
        let is_doubtful = self.doubt.is_some_and(|doubt| extra.is_some_and(|extra| extra.is_same(doubt)));
        Self { value: Some(value), ours: self.ours.filter(|_| !is_doubtful), ..self }
    }

    /// Nobody can tell how much of it is ours.
    #[must_use]
    pub const fn is_undecided(&self) -> bool {
        self.value.is_some() && self.ours.is_none()
    }
}

/// What a request does to the values that it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum How {
    /// Sets each to our total: safe to repeat.
    #[default]
    Total,
    /// Adds to each: never safe to repeat.
    Increment,
    /// Sets each to what was just read, less what was taken back: safe to repeat only while nobody else writes.
    Correct,
    /// Sets each to 0 because somebody asked for it: safe to repeat.
    Zero,
}

impl How {
    /// Whether a request without an answer must be read back before anything else is sent.
    #[must_use]
    pub const fn is_read_back(self) -> bool {
        matches!(self, Self::Increment | Self::Correct)
    }
}

/// A value to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Which attribute and day.
    pub pair: Pair,
    /// The last normalised entry it includes.
    pub changed_by: EntryId,
    /// What Exist shall hold then.
    pub value: Decimal,
    /// How much of that is ours.
    #[serde(default)]
    pub ours: Decimal,
    /// [`Held::adopted`].
    #[serde(default)]
    pub adopted: Decimal,
    /// What Exist holds before; where it does not matter, none.
    #[serde(default)]
    pub base: Option<Decimal>,
    /// [`Held::doubt`].
    #[serde(default)]
    pub doubt: Option<Decimal>,
}

impl Planned {
    /// A value that no entry asked for.
    #[must_use]
    pub fn of(pair: &Pair, value: Decimal) -> Self {
        let (changed_by, nothing) = (EntryId { ms: 0, seq: 0 }, Decimal::default());
        Self { pair: pair.clone(), changed_by, value, ours: nothing, adopted: nothing, base: None, doubt: None }
    }

    /// What is added to what stands there.
    #[must_use]
    pub fn delta(&self) -> Decimal {
        self.base.map_or(self.value, |base| self.value.minus(base))
    }

    /// What is known once Exist has taken it.
    #[must_use]
    pub const fn held(&self) -> Held {
        Held { value: Some(self.value), ours: Some(self.ours), adopted: self.adopted, doubt: self.doubt }
    }

    /// What is known while Exist has not taken it.
    #[must_use]
    pub fn not_held(&self) -> Held {
        Held { value: self.base, ours: Some(self.ours.minus(self.delta())), ..self.held() }
    }

    /// The same change on top of another base: somebody else wrote since.
    #[must_use]
    pub fn on(self, base: Decimal) -> Self {
        let (delta, ours_before) = (self.delta(), self.ours.minus(self.delta()));
        let value = base.plus(delta).at_least_zero();
        Self { value, ours: ours_before.plus(value.minus(base)), base: Some(base), ..self }
    }
}
