//! One person's records while the script is written: what there is to edit, delete and restore.

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, Time},
    tz::TimeZone,
};

use super::{DAYS, Step};
use crate::{
    toggl::Edit,
    whatpulse::Counts,
    world::{ClockChange, people::Person, random::Random},
};

/// The last instant at which an entry of the script may stop, before now.
const MARGIN: SignedDuration = SignedDuration::from_mins(2);

/// The days before today that the back-fill holds entries of, first to last.
const HISTORY: std::ops::RangeInclusive<i64> = -9..=-6;

const COMPUTERS: [&str; 2] = ["desk", "laptop"];
const TAGS: [&str; 4] = ["deep", "review", "acme", "café"];

pub(super) struct Diary {
    person: usize,
    zone: TimeZone,
    /// Ids: productive, productive, neutral, distracting, not counted.
    projects: Vec<i64>,
    today: Date,
    now: Timestamp,
    random: Random,
    entries: usize,
    pulses: usize,
    live: Vec<Known>,
    deleted: Vec<Known>,
    timer: Option<Known>,
    /// The entry that spans the clock change.
    changing: Option<Known>,
    /// Pulses that may vanish: young enough for a poll's window to hold them.
    vanishing: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Known {
    entry: usize,
    start: Timestamp,
    seconds: i64,
}

impl Diary {
    pub(super) fn new(person: usize, who: &Person, now: Timestamp, seed: u64) -> Diary {
        let zone = who.zone();
        let today = now.to_zoned(zone.clone()).date();
        Diary {
            person,
            zone,
            projects: who.workplace.projects.iter().map(|project| project.id).collect(),
            today,
            now,
            random: Random::new(seed),
            entries: 0,
            pulses: 0,
            live: Vec::new(),
            deleted: Vec::new(),
            timer: None,
            changing: None,
            vanishing: Vec::new(),
        }
    }

    pub(super) fn person(&self) -> usize {
        self.person
    }

    /// What stands at the sources before anything is read.
    pub(super) fn history(&mut self, change: Option<&ClockChange>) -> Vec<Step> {
        let mut steps = self.past_pulses(change);
        for day in HISTORY {
            for hour in [9, 13, 17] {
                steps.push(self.ordinary(day, hour));
            }
        }
        steps.extend(self.habits());
        // Across one midnight; for some across two.
        let length = self.random.between(80 * 60, 130 * 60);
        steps.push(self.track(-8, 23, length));
        if self.person.is_multiple_of(3) {
            let length = self.random.between(31 * 3600, 40 * 3600);
            steps.push(self.track(-9, 19, length));
        }
        if self.person.is_multiple_of(2) {
            let minutes = self.random.between(170, 230);
            steps.push(self.start_timer(minutes));
        }
        steps.extend(change.map(|change| self.across(change)).into_iter().flatten());
        steps
    }

    /// What happens in round `round`, which creates records of the day `DAYS - round` days ago.
    pub(super) fn day(&mut self, round: i64) -> Vec<Step> {
        let day = round - DAYS;
        let hour = self.random.between(7, 11);
        let mut steps = vec![self.ordinary(day, hour)];
        let hour = self.random.between(12, 20);
        steps.push(self.ordinary(day, hour));
        let turn = i64::try_from(self.person).expect("a few people") + round;
        if round == 2 {
            let length = self.random.between(60 * 60, 200 * 60);
            steps.push(self.track(day - 1, 23, length));
        }
        if round == 3 && turn % 4 == 0 {
            let length = self.random.between(29 * 3600, 45 * 3600);
            steps.push(self.track(day - 2, 20, length));
        }
        if turn % 4 == 0 {
            steps.push(self.two_pulses());
        } else if turn % 2 == 0 {
            steps.push(self.pulse_now());
        }
        steps.extend(self.edit(turn));
        steps.extend(self.edit(turn + 2));
        if turn % 3 == 0 {
            steps.extend(self.delete());
        }
        if round >= 3 && turn % 3 != 0 {
            steps.extend(self.restore());
        }
        steps.extend(self.timer_step(round));
        if round == 3 || round == 5 {
            steps.extend(self.vanish());
        }
        if round == 4 {
            steps.extend(self.lengthen_change());
        }
        steps
    }

    /// Nine days of pulses, oldest first, since a later pulse never has an earlier date.
    fn past_pulses(&mut self, change: Option<&ClockChange>) -> Vec<Step> {
        let mut dates: Vec<(Timestamp, usize)> = Vec::new();
        for day in -9..=-1 {
            let minute = self.random.between(0, 59);
            dates.push((self.local(day, 12, minute), 0));
            dates.push((self.local(day, 22, minute), 1));
        }
        // In the same second on both computers.
        let together = self.local(-4, 18, 30);
        dates.extend([(together, 0), (together, 1)]);
        // A computer that has not pulsed for a month.
        let after_a_month = self.local(-2, 23, 59);
        if self.person == 7 {
            dates.push((after_a_month, 1));
        }
        if let Some(change) = change.filter(|change| change.recent) {
            let hours = |hours| change.instant + SignedDuration::from_hours(hours);
            dates.extend([(hours(-1), 0), (hours(1), 0), (hours(30), 1)]);
        }
        dates.sort();
        let mut steps = Vec::new();
        let shared = self.counts();
        for (date, computer) in dates {
            let mut counts = if date == together { shared } else { self.counts() };
            if date == after_a_month {
                counts = Counts { keys: 1_204_377, uptime_seconds: 31 * 86_400 - 77, ..counts };
            }
            let age = self.now.duration_since(date);
            let pulse = self.next_pulse();
            if age < SignedDuration::from_hours(40) {
                self.vanishing.push(pulse);
            }
            let computer = COMPUTERS[computer].to_owned();
            steps.push(Step::Pulse { person: self.person, pulse, computer, date: Some(date), counts });
        }
        steps
    }

    /// What everybody does on each day of the back-fill and never changes afterwards: whatever the
    /// dice say of all the rest, each attribute has numbers on as many days. They throw no dice.
    fn habits(&mut self) -> Vec<Step> {
        let counted = [(0, vec![]), (2, vec!["deep".to_owned(), "acme".to_owned()]), (3, vec![])];
        let mut steps = Vec::new();
        for day in HISTORY {
            for (hour, (project, tags)) in (20..).zip(&counted) {
                let known = Known { entry: self.next_entry(), start: self.local(day, hour, 11), seconds: 25 * 60 + 7 };
                steps.push(self.tracked(&known, Some(self.projects[*project]), tags.clone()));
            }
        }
        steps
    }

    fn ordinary(&mut self, day: i64, hour: i64) -> Step {
        let seconds = self.random.between(5 * 60, 150 * 60);
        self.track(day, hour, seconds)
    }

    /// An entry from that local hour on; moved back by whole days where it would not be over yet.
    fn track(&mut self, day: i64, hour: i64, seconds: i64) -> Step {
        let minute = self.random.between(5, 55);
        let start = self.local(day, hour, minute) + SignedDuration::from_secs(self.random.between(0, 59));
        let start = self.early_enough(start, seconds);
        let known = Known { entry: self.next_entry(), start, seconds };
        self.live.push(known.clone());
        let (project, tags) = (self.project(), self.tags());
        self.tracked(&known, project, tags)
    }

    fn tracked(&self, known: &Known, project: Option<i64>, tags: Vec<String>) -> Step {
        let stop = Some(known.start + SignedDuration::from_secs(known.seconds));
        Step::Track { person: self.person, entry: known.entry, start: known.start, stop, project, tags }
    }

    /// One entry over the change itself, and one over the whole local day that it made odd.
    fn across(&mut self, change: &ClockChange) -> [Step; 2] {
        let hours = SignedDuration::from_hours;
        let over = Known { entry: self.next_entry(), start: change.instant - hours(2), seconds: 5 * 3600 + 17 };
        let over_step = self.tracked(&over, Some(self.projects[0]), vec!["deep".into()]);
        self.changing = Some(over);
        let day = change.instant.to_zoned(self.zone.clone());
        let begin = day.start_of_day().expect("a day of this era").timestamp() - hours(1);
        let end =
            day.tomorrow().and_then(|next| next.start_of_day()).expect("a day of this era").timestamp() + hours(1);
        let whole = Known { entry: self.next_entry(), start: begin, seconds: end.duration_since(begin).as_secs() };
        [over_step, self.tracked(&whole, Some(self.projects[2]), vec![])]
    }

    fn lengthen_change(&mut self) -> Option<Step> {
        let known = self.changing.take()?;
        let edits = vec![Edit::Seconds(known.seconds + 1823)];
        Some(Step::Edit { person: self.person, entry: known.entry, edits })
    }

    fn start_timer(&mut self, minutes: i64) -> Step {
        let start = self.now - SignedDuration::from_mins(minutes);
        let known = Known { entry: self.next_entry(), start, seconds: 0 };
        let (entry, project) = (known.entry, Some(self.projects[1]));
        let step = Step::Track { person: self.person, entry, start, stop: None, project, tags: vec![] };
        self.timer = Some(known);
        step
    }

    /// Even people's timers run from the start and stop on day 4; odd people's run from day 2,
    /// change their project on day 3, and stop on day 5.
    fn timer_step(&mut self, round: i64) -> Option<Step> {
        let is_even = self.person.is_multiple_of(2);
        let person = self.person;
        match (is_even, round) {
            (false, 2) => Some(self.start_timer(95)),
            (false, 3) => {
                let entry = self.timer.as_ref()?.entry;
                Some(Step::Edit {
                    person,
                    entry,
                    edits: vec![Edit::Project(Some(self.projects[0])), Edit::Tags(vec!["deep".into()])],
                })
            }
            (true, 4) | (false, 5) => {
                let mut known = self.timer.take()?;
                let stop = self.now - SignedDuration::from_secs(self.random.between(300, 3000));
                known.seconds = stop.duration_since(known.start).as_secs();
                let entry = known.entry;
                self.live.push(known);
                Some(Step::StopTimer { person, entry, stop })
            }
            _ => None,
        }
    }

    fn edit(&mut self, turn: i64) -> Option<Step> {
        let index = self.any(self.live.len())?;
        let Known { entry, start, seconds } = self.live[index];
        let edit = match turn % 5 {
            0 => {
                let latest = self.now - MARGIN;
                let longest = latest.duration_since(start).as_secs().clamp(60, 4 * 3600);
                self.live[index].seconds = self.random.between(60, longest);
                Edit::Seconds(self.live[index].seconds)
            }
            1 => Edit::Project(self.project()),
            2 => Edit::Tags(self.tags()),
            3 => {
                let days = [-2, -1, 1, 2].get(self.any(4)?).copied().unwrap_or(-1);
                let moved = start + SignedDuration::from_hours(24 * days) + SignedDuration::from_mins(7);
                self.live[index].start = self.early_enough(moved, seconds);
                Edit::Start(self.live[index].start)
            }
            _ => Edit::Description(Some("Renamed, and nothing else".into())),
        };
        Some(Step::Edit { person: self.person, entry, edits: vec![edit] })
    }

    fn delete(&mut self) -> Option<Step> {
        let index = self.any(self.live.len())?;
        let known = self.live.swap_remove(index);
        let entry = known.entry;
        self.deleted.push(known);
        Some(Step::Delete { person: self.person, entry })
    }

    fn restore(&mut self) -> Option<Step> {
        // Every other deletion stays.
        let known = if self.random.one_in(2) { self.deleted.pop()? } else { return None };
        let entry = known.entry;
        self.live.push(known);
        Some(Step::Restore { person: self.person, entry })
    }

    fn pulse_now(&mut self) -> Step {
        let (pulse, counts) = (self.next_pulse(), self.counts());
        self.vanishing.push(pulse);
        Step::Pulse { person: self.person, pulse, computer: COMPUTERS[0].into(), date: None, counts }
    }

    fn two_pulses(&mut self) -> Step {
        let pulses = [self.next_pulse(), self.next_pulse()];
        self.vanishing.push(pulses[1]);
        let (computers, counts) = (COMPUTERS.map(str::to_owned), self.counts());
        Step::TwoPulses { person: self.person, pulses, computers, counts }
    }

    fn vanish(&mut self) -> Option<Step> {
        let index = self.any(self.vanishing.len())?;
        Some(Step::VanishPulse { person: self.person, pulse: self.vanishing.swap_remove(index) })
    }

    fn counts(&mut self) -> Counts {
        let random = &mut self.random;
        Counts {
            keys: random.between(0, 19_000),
            clicks: random.between(0, 6_000),
            scrolls: (!random.one_in(5)).then(|| random.between(0, 9_000)),
            distance_centimiles: (!random.one_in(5)).then(|| random.between(0, 300)),
            download_centi_mb: random.between(0, 400_000),
            upload_centi_mb: random.between(0, 40_000),
            uptime_seconds: random.between(600, 40_000),
        }
    }

    /// One of the projects, or for one in six none.
    fn project(&mut self) -> Option<i64> {
        if self.random.one_in(6) { None } else { self.random.pick(&self.projects).copied() }
    }

    fn tags(&mut self) -> Vec<String> {
        TAGS.iter().filter(|_| self.random.one_in(3)).map(|tag| (*tag).to_owned()).collect()
    }

    fn any(&mut self, count: usize) -> Option<usize> {
        let indices: Vec<usize> = (0..count).collect();
        self.random.pick(&indices).copied()
    }

    fn early_enough(&self, mut start: Timestamp, seconds: i64) -> Timestamp {
        while start + SignedDuration::from_secs(seconds) > self.now - MARGIN {
            start -= SignedDuration::from_hours(24);
        }
        start
    }

    /// That local time of the day `day` days after today.
    fn local(&self, day: i64, hour: i64, minute: i64) -> Timestamp {
        let small = |number| i8::try_from(number).expect("an hour or a minute");
        let date = self.today.checked_add(day.days()).expect("a day of this era");
        let time = Time::constant(small(hour), small(minute), 0, 0);
        date.to_datetime(time).to_zoned(self.zone.clone()).expect("a day of this era").timestamp()
    }

    fn next_entry(&mut self) -> usize {
        self.entries += 1;
        self.entries - 1
    }

    fn next_pulse(&mut self) -> usize {
        self.pulses += 1;
        self.pulses - 1
    }
}
