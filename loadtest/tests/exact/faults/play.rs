//! How the stage of all faults is played, once for each mode.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::OnceLock,
    time::Duration,
};

use jiff::Timestamp;
use loadtest::{
    demo::Stage,
    exist::{Endpoint, Fault, Happening, RequestLog, Rule},
    judge::Pair,
    world::{Mode, Person},
};
use tokio::time::{Instant, sleep};

use super::cast::{Trouble, cast, edited, elsewhere};
use crate::{
    busy::pulse,
    listed::{AtRest, stage_in, words},
    show::Show,
};

/// A budget whose window a test can wait for.
const BUDGET: (usize, Duration) = (60, Duration::from_secs(10));
const CONVERGE: Duration = Duration::from_secs(60);
const ROUND_EVERY: Duration = Duration::from_millis(1500);
/// How long faults may wait for requests that meet them.
const MEET_MAX: Duration = Duration::from_secs(60);

/// What came of it.
pub(crate) struct Played {
    cast: BTreeMap<Trouble, String>,
    pub(crate) at_rest: AtRest,
    /// Whatever was listed as undecided at any time.
    pub(crate) listed: BTreeSet<Pair>,
    /// Reason and detail of what ended in error for the one who was refused.
    pub(crate) refused: Vec<(String, String)>,
    pub(crate) log: RequestLog,
}

impl Played {
    /// Who met this.
    pub(crate) fn person(&self, trouble: Trouble) -> &str {
        &self.cast[&trouble]
    }
}

/// Plays both stages beside each other, the first time that anybody asks.
pub(crate) fn played(mode: Mode) -> &'static Played {
    static PLAYED: OnceLock<Result<BTreeMap<Mode, Played>, String>> = OnceLock::new();
    let both = PLAYED.get_or_init(|| {
        // Children die with the thread that starts them: this one lasts until both are through.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let play_both = || {
            runtime.block_on(async {
                let (total, increment) = tokio::join!(play(Mode::Total, 131), play(Mode::Increment, 132));
                BTreeMap::from([(Mode::Total, total), (Mode::Increment, increment)])
            })
        };
        catch_unwind(AssertUnwindSafe(play_both)).map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
        })
    });
    match both {
        Ok(both) => &both[&mode],
        Err(panic) => panic!("the stage of all faults could not be played: {panic}"),
    }
}

struct Troubled<'a> {
    stage: &'a Stage,
    mode: Mode,
    cast: BTreeMap<Trouble, usize>,
}

async fn play(mode: Mode, seed: u64) -> Played {
    let stage = stage_in(mode, seed).await;
    let troubled = Troubled { stage: &stage, mode, cast: cast(&stage.world.people, Timestamp::now()) };
    let fleet = stage
        .fleet()
        .setting("TRIBUTARY_EXIST_CALL_TIMEOUT", "1s")
        .setting("TRIBUTARY_EXIST_SETTLE", "3s")
        .setting("TRIBUTARY_PROFILE_REFRESH", "1m")
        .setting("TRIBUTARY_EXIST_BUDGET", format!("{}/{}s", BUDGET.0, BUDGET.1.as_secs()));
    troubled.arm_first();
    let mut show = Show::open(&stage, fleet).await;
    let first = show.at_rest(CONVERGE, &[]).await;
    first.is_exact(&format!("{}, after the back-fill", mode.name()));

    let mut step = 0;
    troubled.arm_next(step);
    troubled.move_house();
    while show.play() {
        step += 1;
        sleep(ROUND_EVERY).await;
        if step.is_multiple_of(3) {
            troubled.until_met(&format!("{}, in mid-run", mode.name())).await;
            troubled.arm_next(step / 3);
        }
    }
    troubled.until_met(&format!("{}, in mid-run", mode.name())).await;
    let mut listed = show.at_rest(CONVERGE, &[]).await.listed;

    let refused_one = troubled.person(Trouble::Refused).map(|person| person.name.clone()).unwrap_or_default();
    let mut refused = Vec::new();
    for wave in 0..2 {
        troubled.edit_at_rest(wave);
        troubled.arm_at_rest(wave);
        troubled.until_met(&format!("{}, at rest {wave}", mode.name())).await;
        // One value of theirs is refused, and stays wrong until its day changes again; so does a total under
        // an edit that came after it.
        let after_edit = troubled.person(Trouble::Edit).map(|person| person.name.clone()).unwrap_or_default();
        listed.extend(show.at_rest(CONVERGE, &[&refused_one, &after_edit]).await.listed);
        refused.extend(show.errored(&refused_one).await.into_values());
    }
    stage.world.people.iter().for_each(|person| pulse(&stage, person));
    show.at_rest(CONVERGE, &[]).await;
    troubled.take_back();
    troubled.until_met(&format!("{}, while days shrink", mode.name())).await;
    let at_rest = show.at_rest(CONVERGE, &[]).await;
    listed.extend(at_rest.listed.iter().cloned());
    // Right or not, what was listed says so.
    let today = |person: &Person| Timestamp::now().to_zoned(person.zone()).date();
    let days = stage.world.people.iter().flat_map(|person| {
        ["keystrokes", "mouse_clicks"].map(|name| (person.name.clone(), name.to_owned(), today(person)))
    });
    listed.extend(show.listed_among(days).await);
    show.was_sent_in(mode);
    show.all_ended().await;
    show.rules_were_kept(BUDGET.0, BUDGET.1);
    let name = |(trouble, index): (&Trouble, &usize)| (*trouble, stage.world.people[*index].name.clone());
    Played { cast: troubled.cast.iter().map(name).collect(), at_rest, listed, refused, log: stage.exist.log() }
}

impl Troubled<'_> {
    fn person(&self, trouble: Trouble) -> Option<&Person> {
        self.cast.get(&trouble).map(|index| &self.stage.world.people[*index])
    }

    fn each(&self) -> impl Iterator<Item = (Trouble, &Person)> {
        self.cast.iter().map(|(trouble, index)| (*trouble, &self.stage.world.people[*index]))
    }

    fn arm_first(&self) {
        let faults = self.stage.exist.faults();
        for (trouble, person) in self.each() {
            trouble.at_first().into_iter().for_each(|fault| faults.next(&person.name, fault, 1));
            trouble.always().into_iter().for_each(|fault| faults.add(Rule::new(fault).of(&person.name)));
        }
    }

    /// The `step`-th fault of everybody who has so many.
    fn arm_next(&self, step: usize) {
        for (trouble, person) in self.each() {
            trouble.under_way().into_iter().nth(step).into_iter().for_each(|fault| self.on_values(person, fault));
        }
    }

    fn arm_at_rest(&self, wave: usize) {
        for (trouble, person) in self.each() {
            let faults = trouble.at_rest(wave, self.stage, person);
            if !faults.is_empty() {
                faults.into_iter().for_each(|fault| self.on_values(person, fault));
                pulse(self.stage, person);
            }
        }
    }

    /// A record of theirs goes, and with it some minutes of a day that is over.
    fn take_back(&self) {
        for (trouble, person) in self.each() {
            let Some(fault) = trouble.on_taking_back() else { continue };
            let rule = Rule::new(fault).of(&person.name).on([Endpoint::Update]).times(1);
            self.stage.exist.faults().add(rule);
            let counted = |project| person.workplace.projects[..4].iter().any(|known| Some(known.id) == project);
            let goes = self.stage.toggl.entries(&person.name).into_iter().find(|entry| {
                let minutes = entry.stop.map_or(0, |stop| stop.duration_since(entry.start).as_mins());
                entry.deleted_at.is_none() && counted(entry.project_id) && (10..300).contains(&minutes)
            });
            let goes = goes.expect("everybody tracks something that counts");
            assert!(self.stage.toggl.delete(&person.name, goes.id));
        }
    }

    fn on_values(&self, person: &Person, fault: Fault) {
        let rule = Rule::new(fault).of(&person.name).on([words(self.mode)]).times(1);
        self.stage.exist.faults().add(rule);
    }

    fn move_house(&self) {
        let Some(person) = self.person(Trouble::ZoneChange) else { return };
        let zone = elsewhere(person, Timestamp::now()).expect("it was somewhere when the play began");
        self.stage.exist.happen(&person.name, Happening::ZoneChange(zone.to_owned()));
    }

    /// Nothing of ours is under way when the user types.
    fn edit_at_rest(&self, wave: usize) {
        let Some(person) = self.person(Trouble::Edit).filter(|_| wave == 0) else { return };
        let today = Timestamp::now().to_zoned(person.zone()).date();
        self.stage.exist.happen(&person.name, edited(self.stage, person, "keystrokes", today));
    }

    /// Waits until every fault that was armed was met; pulses see to it that there is something to send.
    async fn until_met(&self, when: &str) {
        let begun = Instant::now();
        let mut pulses = 0;
        while self.stage.exist.faults().left() > 0 {
            assert!(begun.elapsed() < MEET_MAX, "{when}: {} faults met no request", self.stage.exist.faults().left());
            sleep(Duration::from_millis(200)).await;
            if begun.elapsed() > Duration::from_secs(5 * (pulses + 1)) {
                pulses += 1;
                self.stage.world.people.iter().for_each(|person| pulse(self.stage, person));
            }
        }
    }
}
