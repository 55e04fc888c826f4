//! What everybody does, round by round: one seed and one moment make one script.

mod diary; // one person's records while the script is written

use jiff::Timestamp;

use super::{
    pastime::{Leisure, Pastime},
    people::{Person, people},
    random::Random,
    zones::{ClockChange, clock_change},
};
use crate::{toggl::Edit, whatpulse::Counts};
use diary::Diary;

/// Rounds after the back-fill.
pub(crate) const DAYS: i64 = 6;

/// The back-fill of 30 days that services do unless told otherwise.
const BACKFILL_DAYS: u32 = 30;

/// Reaches every clock change that is chosen.
const LONG_BACKFILL_DAYS: u32 = 85;

/// Invented people and their script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// Who they are.
    pub people: Vec<Person>,
    /// What they do; the first round happens before the services start.
    pub rounds: Vec<Round>,
    /// The clock change that somebody lives through; none if there was none lately, anywhere.
    pub clock_change: Option<ClockChange>,
    /// Days of back-fill that reach all of it.
    pub backfill_days: u32,
}

/// Steps that happen together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// `back-fill`, `day 1`, …
    pub title: String,
    /// In order.
    pub steps: Vec<Step>,
}

/// One thing somebody does. `person` counts the people from 0; `pulse` and `entry` count that
/// person's records from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A computer pulses; without a date, at the moment of playing.
    Pulse {
        /// Who.
        person: usize,
        /// Their n-th.
        pulse: usize,
        /// From where.
        computer: String,
        /// When, for what happened before the script starts.
        date: Option<Timestamp>,
        /// What was counted.
        counts: Counts,
    },
    /// Two computers pulse in one second, with equal counts, at the moment of playing.
    TwoPulses {
        /// Who.
        person: usize,
        /// Their n-th and m-th.
        pulses: [usize; 2],
        /// From where.
        computers: [String; 2],
        /// What each counted.
        counts: Counts,
    },
    /// A pulse is removed on the site.
    VanishPulse {
        /// Whose.
        person: usize,
        /// Which.
        pulse: usize,
    },
    /// An entry is created; without a stop it is a timer.
    Track {
        /// Who.
        person: usize,
        /// Their n-th.
        entry: usize,
        /// From when.
        start: Timestamp,
        /// Until when.
        stop: Option<Timestamp>,
        /// Under which project, by id.
        project: Option<i64>,
        /// With which tags.
        tags: Vec<String>,
    },
    /// An entry is changed.
    Edit {
        /// Whose.
        person: usize,
        /// Which.
        entry: usize,
        /// How.
        edits: Vec<Edit>,
    },
    /// A timer is stopped.
    StopTimer {
        /// Whose.
        person: usize,
        /// Which.
        entry: usize,
        /// When.
        stop: Timestamp,
    },
    /// An entry is deleted.
    Delete {
        /// Whose.
        person: usize,
        /// Which.
        entry: usize,
    },
    /// A deletion is taken back.
    Restore {
        /// Whose.
        person: usize,
        /// Which.
        entry: usize,
    },
    /// Something beside work.
    Pastime {
        /// Who.
        person: usize,
        /// What.
        pastime: Pastime,
    },
}

impl World {
    /// The world that `seed` makes of the days before `now`.
    ///
    /// Every record lies before `now`, nothing runs into the future, and except for the clock
    /// change all of it lies within a fortnight.
    pub fn scripted(seed: u64, now: Timestamp) -> World {
        let mut random = Random::new(seed);
        let clock_change = clock_change(now);
        let people = people(&mut random, clock_change.as_ref());
        let mut diaries: Vec<Diary> =
            people.iter().enumerate().map(|(index, person)| Diary::new(index, person, now, random.next())).collect();
        let leisure = |(index, person): (u64, &Person)| Leisure::new(person, now, seed ^ (index + 1).rotate_left(32));
        let mut leisures: Vec<Leisure> = (0..).zip(&people).map(leisure).collect();
        let mut rounds = Vec::new();
        for round in 0..=DAYS {
            let title = if round == 0 { "back-fill".to_owned() } else { format!("day {round}") };
            let mut steps = Vec::new();
            for diary in &mut diaries {
                let is_changed = clock_change.is_some() && diary.person() + 1 == people.len();
                let change = clock_change.as_ref().filter(|_| is_changed);
                steps.extend(if round == 0 { diary.history(change) } else { diary.day(round) });
            }
            for (person, leisure) in leisures.iter_mut().enumerate() {
                let pastimes = if round == 0 { leisure.history() } else { leisure.day(round) };
                steps.extend(pastimes.into_iter().map(|pastime| Step::Pastime { person, pastime }));
            }
            rounds.push(Round { title, steps });
        }
        let is_old = clock_change.as_ref().is_some_and(|change| !change.recent);
        let backfill_days = if is_old { LONG_BACKFILL_DAYS } else { BACKFILL_DAYS };
        World { people, rounds, clock_change, backfill_days }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: std::ops::Range<u64> = 0..20;

    /// Late November: the clock change is New York's; the hour is awkward for both ends of the day.
    fn now() -> Timestamp {
        "2026-11-21T10:30:00Z".parse().expect("a time")
    }

    #[test]
    fn one_seed_and_moment_make_one_script() {
        assert_eq!(World::scripted(3, now()), World::scripted(3, now()));
        assert_ne!(World::scripted(3, now()), World::scripted(4, now()));
    }

    #[test]
    fn nothing_happens_after_now() {
        for seed in SEEDS {
            let world = World::scripted(seed, now());
            for step in world.rounds.iter().flat_map(|round| &round.steps) {
                let latest = match step {
                    Step::Pulse { date, .. } => *date,
                    Step::Track { start, stop, .. } => Some(stop.unwrap_or(*start)),
                    Step::StopTimer { stop, .. } => Some(*stop),
                    _ => None,
                };
                assert!(latest.is_none_or(|latest| latest < now()), "seed {seed}: {step:?}");
            }
        }
    }

    #[test]
    fn every_kind_of_step_occurs_for_every_seed() {
        for seed in SEEDS {
            let world = World::scripted(seed, now());
            let steps: Vec<&Step> = world.rounds.iter().flat_map(|round| &round.steps).collect();
            let has = |kind: fn(&Step) -> bool| steps.iter().any(|step| kind(step));
            assert!(has(|step| matches!(step, Step::TwoPulses { .. })), "seed {seed}");
            assert!(has(|step| matches!(step, Step::VanishPulse { .. })), "seed {seed}");
            assert!(has(|step| matches!(step, Step::StopTimer { .. })), "seed {seed}");
            assert!(has(|step| matches!(step, Step::Delete { .. })), "seed {seed}");
            assert!(has(|step| matches!(step, Step::Restore { .. })), "seed {seed}");
            for kind in [
                |edit: &Edit| matches!(edit, Edit::Start(_)),
                |edit: &Edit| matches!(edit, Edit::Seconds(_)),
                |edit: &Edit| matches!(edit, Edit::Project(_)),
                |edit: &Edit| matches!(edit, Edit::Tags(_)),
            ] {
                let edits = |step: &&Step| matches!(step, Step::Edit { edits, .. } if edits.iter().any(kind));
                assert!(steps.iter().any(edits), "seed {seed}");
            }
        }
    }

    #[test]
    fn someone_tracks_across_the_clock_change() {
        let world = World::scripted(1, now());
        let change = world.clock_change.as_ref().expect("New York fell back three weeks ago").instant;
        let across = |step: &Step| matches!(step, Step::Track { start, stop: Some(stop), .. } if *start < change && change < *stop);
        assert!(world.rounds[0].steps.iter().any(across));
    }

    #[test]
    fn there_are_at_least_twelve_people_and_seven_rounds() {
        let world = World::scripted(1, now());
        assert!(world.people.len() >= 12);
        assert_eq!(world.rounds.len(), 7);
    }
}
