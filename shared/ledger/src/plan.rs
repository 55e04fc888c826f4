//! What Exist must be told of one user's days.

use std::{fmt, str::FromStr};

use event::{Amount, AttributeName, Day, Decimal, EntryId, Unit};
use serde::{Deserialize, Serialize};

/// Most values in one request. Source: <https://developer.exist.io/reference/writing_data/>.
pub const VALUES_MAX: usize = 35;

/// One attribute on one day: what Exist keeps a value for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pair {
    /// The attribute's name in Exist.
    pub attribute: AttributeName,
    /// The user's local day.
    pub day: Day,
}

/// A text that names no attribute and day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no attribute and day (attribute@day number)")]
pub struct PairError(String);

/// Written as `attribute|day number`, the spelling of ledger fields.
impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.attribute, self.day.number())
    }
}

impl FromStr for Pair {
    type Err = PairError;
    fn from_str(text: &str) -> Result<Self, PairError> {
        let parse = || {
            let (attribute, day) = text.split_once('|')?;
            Some(Self { attribute: AttributeName::try_new(attribute).ok()?, day: Day::from_number(day.parse().ok()?) })
        };
        parse().ok_or_else(|| PairError(text.to_owned()))
    }
}

/// A pair whose total changed since it was last confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Which.
    pub pair: Pair,
    /// The last normalised entry that changed it: confirming it confirms all entries up to this one.
    pub changed_by: EntryId,
    /// The sum over all sources, in base units.
    pub total: Amount,
    /// The attribute's base unit.
    pub unit: Unit,
    /// What Exist is known to hold.
    pub holds: Holds,
}

/// What Exist is known to hold for a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Nothing of ours: we never wrote it.
    Nothing,
    /// This value: Exist confirmed it.
    Value(Decimal),
    /// Nobody knows: a request's outcome is unknown. Only writing makes it known.
    Unknown,
}

/// A value to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Which attribute and day.
    pub pair: Pair,
    /// The last normalised entry it includes.
    pub changed_by: EntryId,
    /// The day's total, in Exist's unit.
    pub value: Decimal,
}

/// What to do about a user's changed pairs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// To send now, at most [`VALUES_MAX`], the oldest change first.
    pub send: Vec<Planned>,
    /// To send in a further request.
    pub more: usize,
    /// Nothing to send: Exist holds this value, or nobody ever wrote a value and the sum is 0.
    pub settled: Vec<Planned>,
    /// Days after the user's tomorrow: the earliest of them, to come back to.
    pub later: Option<Day>,
}

/// Decides what to send, so that Exist holds every total.
///
/// Total mode: the day's whole sum, converted once. A negative sum is sent as 0, because Exist's answer
/// to negative totals is unknown. Days after `tomorrow` wait.
#[must_use]
pub fn plan(mut cells: Vec<Cell>, tomorrow: Day) -> Plan {
    cells.sort_by(|a, b| (a.changed_by, &a.pair).cmp(&(b.changed_by, &b.pair)));
    let mut plan = Plan::default();
    for cell in cells {
        if cell.pair.day > tomorrow {
            plan.later = Some(plan.later.map_or(cell.pair.day, |day| day.min(cell.pair.day)));
            continue;
        }
        let value = cell.unit.to_exist(cell.total).at_least_zero();
        let unchanged = match cell.holds {
            Holds::Value(held) => held == value,
            Holds::Nothing => value.is_zero(),
            Holds::Unknown => false,
        };
        let planned = Planned { pair: cell.pair, changed_by: cell.changed_by, value };
        if unchanged {
            plan.settled.push(planned);
        } else if plan.send.len() < VALUES_MAX {
            plan.send.push(planned);
        } else {
            plan.more += 1;
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(day: i32, total: i64, confirmed: Option<i64>) -> Cell {
        Cell {
            pair: Pair { attribute: AttributeName::try_new("productive_min").unwrap(), day: Day::from_number(day) },
            changed_by: EntryId { ms: 1, seq: 0 },
            total,
            unit: Unit::Seconds,
            holds: confirmed.map_or(Holds::Nothing, |held| Holds::Value(Decimal::whole(held))),
        }
    }

    const TOMORROW: Day = Day::from_number(100);

    #[test]
    fn a_request_carries_at_most_35_values_and_the_rest_waits_for_the_next() {
        let plan = plan((0..40).map(|day| cell(day, 600, None)).collect(), TOMORROW);
        assert_eq!((plan.send.len(), plan.more), (35, 5));
        assert_eq!(plan.send[0].value, Decimal::whole(10));
    }

    #[test]
    fn a_sum_of_zero_is_written_only_where_something_was_written_before() {
        assert_eq!(plan(vec![cell(1, 0, None)], TOMORROW).settled.len(), 1);
        let written = plan(vec![cell(1, 0, Some(10))], TOMORROW);
        assert_eq!(written.send[0].value, Decimal::whole(0));
    }

    #[test]
    fn what_exist_holds_is_not_sent_again() {
        // 601 s and 600 s are the same minutes.
        let plan = plan(vec![cell(1, 601, Some(10))], TOMORROW);
        assert!(plan.send.is_empty());
        assert_eq!(plan.settled.len(), 1);
    }

    #[test]
    fn what_may_or_may_not_have_been_written_is_written_again() {
        let unknown = Cell { holds: Holds::Unknown, ..cell(1, 0, None) };
        assert_eq!(plan(vec![unknown], TOMORROW).send.len(), 1);
    }

    #[test]
    fn days_after_tomorrow_wait_for_their_day() {
        let plan = plan(vec![cell(101, 60, None), cell(103, 60, None), cell(100, 60, None)], TOMORROW);
        assert_eq!((plan.send.len(), plan.later), (1, Some(Day::from_number(101))));
    }

    #[test]
    fn a_pair_reads_back() {
        let pair = cell(-3, 0, None).pair;
        assert_eq!(pair.to_string().parse::<Pair>().unwrap(), pair);
    }
}
