//! People at it while things go wrong: new records, and edits and deletions of those just made.

use jiff::{SignedDuration, Timestamp};
use loadtest::{
    demo::Stage,
    toggl::{Edit, NewEntry},
    whatpulse::Counts,
    world::Person,
};

/// How many people do something in a tick.
const AT_ONCE: usize = 4;
/// Entries lie so many days back at most: inside every back-fill.
const DAYS_BACK: i64 = 24;

/// Nobody here throws dice: the n-th tick is the same in every run.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    tick: i64,
    turn: usize,
    entries: Vec<(String, i64)>,
}

impl Busy {
    /// A few people do a little.
    pub(crate) fn tick(&mut self, stage: &Stage) {
        self.tick += 1;
        for _ in 0..AT_ONCE {
            self.turn += 1;
            let person = &stage.world.people[self.turn % stage.world.people.len()];
            pulse(stage, person);
            self.track(stage, person);
        }
        let last = self.entries.len().saturating_sub(3);
        if let Some((name, id)) = self.entries.get(last).cloned() {
            match self.tick % 4 {
                0 => assert!(stage.toggl.edit(&name, id, &[Edit::Seconds(600 + self.tick * 61)])),
                1 => assert!(stage.toggl.edit(&name, id, &[Edit::Start(self.days_ago(self.tick * 5))])),
                2 => {
                    assert!(stage.toggl.delete(&name, id));
                    self.entries.remove(last);
                }
                _ => {}
            }
        }
    }

    fn track(&mut self, stage: &Stage, person: &Person) {
        let start = self.days_ago(self.tick * 7 + i64::try_from(self.turn % 3).expect("a small number"));
        let stop = Some(start + SignedDuration::from_secs(900 + self.tick * 37));
        let project = &person.workplace.projects[self.turn % person.workplace.projects.len()];
        let new = NewEntry { start, stop, project_id: Some(project.id), tags: vec!["deep".into()], description: None };
        self.entries.push((person.name.clone(), stage.toggl.create(&person.name, new)));
    }

    fn days_ago(&self, days: i64) -> Timestamp {
        Timestamp::now() - SignedDuration::from_hours(24 * (1 + days % DAYS_BACK) + self.tick % 5)
    }
}

/// One computer of theirs pulses, now. No count is a round number that an edit or a sum might equal.
pub(crate) fn pulse(stage: &Stage, person: &Person) {
    let counts = Counts {
        keys: 211,
        clicks: 97,
        scrolls: None,
        distance_centimiles: None,
        download_centi_mb: 10_301,
        upload_centi_mb: 1_709,
        uptime_seconds: 607,
    };
    stage.whatpulse.pulse(&person.name, "desk", counts);
}
