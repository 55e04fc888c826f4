//! What Exist must be told of one user's days.

use std::{fmt, str::FromStr};

use event::{Amount, AttributeName, Day, Decimal, EntryId, Unit};
use serde::{Deserialize, Serialize};

use crate::{Held, How, Planned};

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

/// How an attribute is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The day's total, again and again.
    Total,
    /// Differences, for attributes that others write as well.
    Increment,
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
    /// How the attribute is written.
    pub mode: Mode,
    /// What stands in Exist matters before we have written anything.
    pub needs_base: bool,
    /// What is known of what Exist holds; `None` if we neither wrote nor read it yet.
    pub held: Option<Held>,
}

/// What to do about a user's changed pairs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What the request does.
    pub how: How,
    /// To send now, at most [`VALUES_MAX`], the oldest change first.
    pub send: Vec<Planned>,
    /// To send in a further request.
    pub more: usize,
    /// Nothing to send: Exist holds this value, or nobody ever wrote a value and the sum is 0.
    pub settled: Vec<Planned>,
    /// To be read before anything can be said about them.
    pub unread: Vec<Pair>,
    /// Nobody can tell how much of what Exist holds is ours, so no difference can be sent.
    pub undecided: Vec<Planned>,
    /// Days after the user's tomorrow: the earliest of them, to come back to.
    pub later: Option<Day>,
}

/// Decides what to send, so that Exist holds every total.
///
/// The day's whole sum is converted once. A negative sum counts as 0, because Exist's answer to negative
/// totals is unknown. Total mode sends it as it is. Increment mode sends the difference to what we have
/// there already: as an increment if there is more, as a correction of what stands there if there is less,
/// because Exist takes no negative increments. One request does one of these; the oldest change decides
/// which. Days after `tomorrow` wait.
#[must_use]
pub fn plan(mut cells: Vec<Cell>, tomorrow: Day) -> Plan {
    cells.sort_by(|a, b| (a.changed_by, &a.pair).cmp(&(b.changed_by, &b.pair)));
    let mut plan = Plan::default();
    for cell in cells {
        if cell.pair.day > tomorrow {
            plan.later = Some(plan.later.map_or(cell.pair.day, |day| day.min(cell.pair.day)));
            continue;
        }
        match decide(&cell) {
            Decision::Settled(planned) => plan.settled.push(planned),
            Decision::Unread => plan.unread.push(cell.pair),
            Decision::Undecided(planned) => plan.undecided.push(planned),
            Decision::Send(how, planned) => {
                if plan.send.is_empty() {
                    plan.how = how;
                }
                if plan.how == how && plan.send.len() < VALUES_MAX {
                    plan.send.push(planned);
                } else {
                    plan.more += 1;
                }
            }
        }
    }
    plan
}

enum Decision {
    Settled(Planned),
    Unread,
    Undecided(Planned),
    Send(How, Planned),
}

fn decide(cell: &Cell) -> Decision {
    let sum = cell.unit.to_exist(cell.total).at_least_zero();
    let planned = |value, ours, adopted, base| Planned {
        pair: cell.pair.clone(),
        changed_by: cell.changed_by,
        value,
        ours,
        adopted,
        base,
        doubt: cell.held.and_then(|held| held.doubt),
    };
    let total = |adopted: Decimal| planned(adopted.plus(sum), sum, adopted, None);
    match cell.held {
        None if cell.needs_base => Decision::Unread,
        None if sum.is_zero() => Decision::Settled(total(Decimal::default())),
        None => Decision::Send(How::Total, total(Decimal::default())),
        Some(Held { value: Some(value), ours: None, adopted, .. }) if cell.mode == Mode::Increment => {
            Decision::Undecided(planned(value, sum, adopted, None))
        }
        Some(Held { value: None, ours: Some(_), .. }) if cell.mode == Mode::Increment => Decision::Unread,
        Some(Held { value: Some(base), ours: Some(ours), adopted, .. }) if cell.mode == Mode::Increment => {
            let value = base.plus(sum.minus(ours)).at_least_zero();
            let delta = value.minus(base);
            let planned = planned(value, ours.plus(delta), adopted, Some(base));
            match delta {
                delta if delta.is_zero() => Decision::Settled(planned),
                delta if delta.is_negative() => Decision::Send(How::Correct, planned),
                _ => Decision::Send(How::Increment, planned),
            }
        }
        Some(Held { value, adopted, .. }) => {
            let planned = total(adopted);
            let is_there = value.is_some_and(|value| value.is_same(planned.value));
            if is_there { Decision::Settled(planned) } else { Decision::Send(How::Total, planned) }
        }
    }
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
            mode: Mode::Total,
            needs_base: false,
            held: confirmed.map(|minutes| held(Some(minutes), Some(minutes))),
        }
    }

    fn held(value: Option<i64>, ours: Option<i64>) -> Held {
        Held { value: value.map(Decimal::whole), ours: ours.map(Decimal::whole), ..Held::default() }
    }

    /// A cell in increment mode; sums are in minutes here.
    fn counting(day: i32, minutes: i64, held: Option<Held>) -> Cell {
        Cell { mode: Mode::Increment, needs_base: true, held, ..cell(day, minutes * 60, None) }
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
        for mode in [Mode::Total, Mode::Increment] {
            let unknown = Cell { held: Some(held(None, None)), mode, ..cell(1, 0, None) };
            let plan = plan(vec![unknown], TOMORROW);
            assert_eq!((plan.how, plan.send.len()), (How::Total, 1));
        }
    }

    #[test]
    fn increment_mode_reads_before_it_adds() {
        for unread in [None, Some(held(None, Some(4)))] {
            let plan = plan(vec![counting(1, 10, unread)], TOMORROW);
            assert_eq!((plan.send.len(), plan.unread.len()), (0, 1));
        }
    }

    #[test]
    fn increment_mode_sends_the_difference_and_leaves_what_others_added() {
        // 12 stand there, 5 of them ours.
        let there = Some(held(Some(12), Some(5)));
        let more = plan(vec![counting(1, 9, there)], TOMORROW);
        assert_eq!((more.how, more.send[0].delta()), (How::Increment, Decimal::whole(4)));
        assert_eq!(more.send[0].held(), held(Some(16), Some(9)));
        let less = plan(vec![counting(1, 2, there)], TOMORROW);
        assert_eq!((less.how, less.send[0].value), (How::Correct, Decimal::whole(9)));
        assert_eq!(plan(vec![counting(1, 5, there)], TOMORROW).settled.len(), 1);
        // Somebody took 4 away meanwhile: the correction is made on top of that.
        let moved = less.send[0].clone().on(Decimal::whole(8));
        assert_eq!(moved.held(), held(Some(5), Some(2)));
    }

    #[test]
    fn a_correction_never_goes_below_0_and_remembers_what_it_could_not_take_back() {
        // 30 stand there although 100 are ours: somebody took 70 away.
        let less = plan(vec![counting(1, 50, Some(held(Some(30), Some(100))))], TOMORROW);
        let corrected = less.send[0].held();
        assert_eq!(corrected, held(Some(0), Some(70)));
        let more = plan(vec![counting(1, 100, Some(corrected))], TOMORROW);
        assert_eq!(more.send[0].value, Decimal::whole(30), "100 less the 70");
    }

    #[test]
    fn where_nobody_can_tell_what_is_ours_nothing_is_added_but_a_total_is_written() {
        let lost = Some(held(Some(7), None));
        let stuck = plan(vec![counting(1, 10, lost)], TOMORROW);
        assert_eq!((stuck.send.len(), stuck.undecided.len()), (0, 1));
        let total = plan(vec![Cell { mode: Mode::Total, ..counting(1, 10, lost) }], TOMORROW);
        assert_eq!((total.how, total.send[0].value), (How::Total, Decimal::whole(10)));
    }

    #[test]
    fn what_others_add_is_theirs_unless_it_looks_like_an_increment_that_we_gave_up() {
        let there = held(Some(12), Some(5));
        assert_eq!(there.found(Decimal::whole(20)), held(Some(20), Some(5)));
        let doubtful = Held { doubt: Some(Decimal::whole(8)), ..there };
        assert!(doubtful.found(Decimal::whole(20)).is_undecided());
        assert!(!doubtful.found(Decimal::whole(21)).is_undecided());
    }

    #[test]
    fn a_total_stands_on_what_was_adopted() {
        let adopted = Held { adopted: Decimal::whole(3), ..held(Some(3), Some(0)) };
        let plan = plan(vec![Cell { held: Some(adopted), ..cell(1, 600, None) }], TOMORROW);
        assert_eq!(plan.send[0].value, Decimal::whole(13));
    }

    #[test]
    fn a_request_does_one_thing_and_the_oldest_change_decides_which() {
        let newer = Cell { changed_by: EntryId { ms: 2, seq: 0 }, ..cell(1, 600, None) };
        let plan = plan(vec![newer, counting(2, 10, Some(held(Some(0), Some(0))))], TOMORROW);
        assert_eq!((plan.how, plan.send.len(), plan.more), (How::Increment, 1, 1));
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
