//! Carries the steps of a script to the simulators, and remembers which record is which.

use std::{collections::HashMap, ops::AddAssign};

use super::{
    Person,
    pastime::{Ids, Pastimes},
    script::{Round, Step},
};
use crate::{
    toggl::{NewEntry, TogglSim},
    whatpulse::WhatPulseSim,
};

/// What a round did, in records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Pulses received and entries created.
    pub created: u32,
    /// Entries changed, stopped or restored.
    pub edited: u32,
    /// Entries deleted and pulses that vanished.
    pub deleted: u32,
}

impl AddAssign for Played {
    fn add_assign(&mut self, other: Played) {
        self.created += other.created;
        self.edited += other.edited;
        self.deleted += other.deleted;
    }
}

/// Plays rounds on a pair of simulators.
#[derive(Debug)]
pub struct Player<'a> {
    whatpulse: &'a WhatPulseSim,
    toggl: &'a TogglSim,
    people: &'a [Person],
    /// The simulator's id of a person's n-th pulse and entry.
    pulses: HashMap<(usize, usize), u64>,
    entries: HashMap<(usize, usize), i64>,
    /// Where they do what is beside work; without it such steps are left out.
    pastimes: Option<(&'a Pastimes, Ids)>,
}

impl<'a> Player<'a> {
    /// Adds everybody's accounts, clients and projects, and no records.
    pub fn new(people: &'a [Person], whatpulse: &'a WhatPulseSim, toggl: &'a TogglSim) -> Player<'a> {
        for person in people {
            whatpulse.add_account(person.whatpulse_account());
            toggl.add_account(person.toggl_account());
            for client in &person.workplace.clients {
                toggl.add_client(&person.name, client.clone());
            }
            for project in &person.workplace.projects {
                toggl.add_project(&person.name, project.clone());
            }
        }
        Player { whatpulse, toggl, people, pulses: HashMap::new(), entries: HashMap::new(), pastimes: None }
    }

    /// Adds everybody's accounts beside work as well, and plays those steps, too.
    pub fn with(mut self, pastimes: &'a Pastimes) -> Player<'a> {
        pastimes.settle(self.people);
        self.pastimes = Some((pastimes, Ids::default()));
        self
    }

    /// Plays one round, in order.
    ///
    /// # Panics
    /// When a step names a record that no step has made, or that cannot take it: the script is wrong.
    pub fn play(&mut self, round: &Round) -> Played {
        let mut played = Played::default();
        for step in &round.steps {
            played += self.step(step);
        }
        played
    }

    fn step(&mut self, step: &Step) -> Played {
        if let Step::Pastime { person, pastime } = step {
            let Some((pastimes, ids)) = &mut self.pastimes else { return Played::default() };
            let done = pastimes.play(ids, *person, &self.people[*person], pastime);
            assert!(done, "a script only asks what its records allow: {step:?}");
            let (created, edited, deleted) = pastime.counts();
            return Played { created, edited, deleted };
        }
        let name = |person: usize| self.people[person].name.as_str();
        let one = |done: bool, played: Played| {
            assert!(done, "a script only asks what its records allow: {step:?}");
            played
        };
        let created = Played { created: 1, ..Played::default() };
        let edited = Played { edited: 1, ..Played::default() };
        let deleted = Played { deleted: 1, ..Played::default() };
        match step {
            Step::Pulse { person, pulse, computer, date, counts } => {
                let id = match date {
                    Some(date) => self.whatpulse.pulse_dated(name(*person), computer, *date, *counts),
                    None => self.whatpulse.pulse(name(*person), computer, *counts),
                };
                one(self.pulses.insert((*person, *pulse), id).is_none(), created)
            }
            Step::TwoPulses { person, pulses, computers, counts } => {
                // One reading of the clock for both: the same second is the point.
                let now = self.whatpulse.clock().now();
                for (pulse, computer) in pulses.iter().zip(computers) {
                    let id = self.whatpulse.pulse_dated(name(*person), computer, now, *counts);
                    self.pulses.insert((*person, *pulse), id);
                }
                Played { created: 2, ..Played::default() }
            }
            Step::VanishPulse { person, pulse } => {
                one(self.whatpulse.vanish(name(*person), self.pulses[&(*person, *pulse)]), deleted)
            }
            Step::Track { person, entry, start, stop, project, tags } => {
                let description = Some(format!("Entry {entry}"));
                let new =
                    NewEntry { start: *start, stop: *stop, project_id: *project, tags: tags.clone(), description };
                let id = self.toggl.create(name(*person), new);
                one(self.entries.insert((*person, *entry), id).is_none(), created)
            }
            Step::Edit { person, entry, edits } => {
                one(self.toggl.edit(name(*person), self.entries[&(*person, *entry)], edits), edited)
            }
            Step::StopTimer { person, entry, stop } => {
                one(self.toggl.stop(name(*person), self.entries[&(*person, *entry)], *stop), edited)
            }
            Step::Delete { person, entry } => {
                one(self.toggl.delete(name(*person), self.entries[&(*person, *entry)]), deleted)
            }
            Step::Restore { person, entry } => {
                one(self.toggl.restore(name(*person), self.entries[&(*person, *entry)]), edited)
            }
            Step::Pastime { .. } => unreachable!("they were played above"),
        }
    }
}
