//! Processes that die at each named step between a record and its settled value, under load.

use std::{os::unix::process::ExitStatusExt, time::Duration};

use loadtest::{
    demo::Stage,
    exist::{Endpoint, Fault, Happening, Rule, Service},
    fleet::Role,
    world::Mode,
};
use tokio::time::{Instant, sleep};

use crate::{busy::Busy, listed::stage_in, show::Show};

/// What an aborted process ends by.
const SIGABRT: i32 = 6;
/// Between two ticks of load.
const TICK: Duration = Duration::from_millis(300);
/// How long all of a wave may take to die: the leases of those that died before them last 10 s.
const DIE_MAX: Duration = Duration::from_secs(90);
/// Lost requests that wait for somebody to meet them.
const LOST_MAX: u64 = 4;
const CONVERGE: Duration = Duration::from_secs(120);

/// Where one process dies: at which passing of which step.
#[derive(Clone, Copy, Debug)]
struct Death {
    role: Role,
    point: &'static str,
    /// Passings that it survives.
    after: u32,
}

impl Death {
    /// As the variable `FAILPOINTS` has it.
    fn action(self) -> String {
        match self.after {
            0 => format!("{}=return", self.point),
            after => format!("{}={after}*off->return", self.point),
        }
    }
}

const fn writer(point: &'static str, after: u32) -> Death {
    Death { role: Role::ExistWriter, point, after }
}

const fn normaliser(point: &'static str, after: u32) -> Death {
    Death { role: Role::Normaliser, point, after }
}

/// Those of one wave run beside each other; those of the next take over what they leave.
///
/// What happens only at a user's beginning comes first. A record may be in hand in at most two crashes, as
/// the third makes it a dead letter: no stage loses more than two processes while it handles a batch.
fn waves(mode: Mode) -> Vec<Vec<Death>> {
    let mut waves = vec![
        vec![
            writer("writer::acquired", 0),
            writer("writer::before_intent", 1),
            writer("stream::handled", 2),
            normaliser("stream::handled", 2),
        ],
        vec![
            writer("writer::intent_stored", 1),
            writer("writer::answered", 1),
            writer("stream::committed", 2),
            normaliser("stream::committed", 2),
        ],
        vec![writer("writer::settled", 1), writer("writer::unknown", 0)],
    ];
    if mode == Mode::Increment {
        waves[0].push(writer("writer::base_read", 0));
        waves[2].push(writer("writer::read_back", 0));
        waves.push(vec![writer("writer::read_back_settled", 0), writer("writer::answered", 0)]);
    }
    waves
}

/// Now and then nobody learns what became of a request, and somebody takes an attribute away.
fn meddle(stage: &Stage, tick: usize) {
    let faults = stage.exist.faults();
    let person = &stage.world.people[tick % stage.world.people.len()];
    let lost = if tick.is_multiple_of(2) { Fault::CommitThenReset } else { Fault::ResetBeforeCommit };
    // While nobody is left to meet them they must not pile up: each one in a row doubles a backoff.
    if tick.is_multiple_of(3) && faults.left() < LOST_MAX {
        faults.add(Rule::new(lost).of(&person.name).on([Endpoint::Update, Endpoint::Increment]).times(1));
    }
    let (by, attribute) = (Service::named("other"), "uptime_min".to_owned());
    // Twice from the same person would be for good: they may want it so.
    let is_first = tick / 20 < stage.world.people.len();
    if tick % 20 == 19 && is_first && stage.exist.attributes(&person.name).contains_key(&attribute) {
        stage.exist.happen(&person.name, Happening::OwnershipTaken { attribute, by });
    }
}

/// No writer is left but those that are to die; beside a doomed normaliser there is one that goes on.
async fn crash_everywhere(mode: Mode, seed: u64) {
    let stage = stage_in(mode, seed).await;
    let fleet = stage
        .fleet()
        .processes(Role::ExistWriter, 0)
        .setting("TRIBUTARY_EXIST_CALL_TIMEOUT", "1s")
        .setting("TRIBUTARY_EXIST_SETTLE", "3s");
    let mut show = Show::open(&stage, fleet).await;
    let mut busy = Busy::default();
    let mut tick = 0;
    for wave in waves(mode) {
        let mut alive: Vec<(Death, String)> = Vec::new();
        for death in wave {
            let process = show.fleet.spawn_with(death.role, &[("FAILPOINTS", &death.action())]).expect("it starts");
            process.may_end();
            alive.push((death, process.name().to_owned()));
        }
        show.play();
        let begun = Instant::now();
        while !alive.is_empty() {
            tick += 1;
            busy.tick(&stage);
            meddle(&stage, tick);
            sleep(TICK).await;
            alive = still_alive(&mut show, alive).await;
            let late = begun.elapsed() > DIE_MAX;
            assert!(!late, "{}: these never came to where they were to die: {alive:?}", mode.name());
        }
    }
    stage.exist.faults().clear();
    show.fleet.spawn(Role::ExistWriter).expect("it starts");
    show.play_on(Duration::from_millis(700)).await;
    show.at_rest(CONVERGE, &[]).await.is_exact(mode.name());
    show.was_sent_in(mode);
    show.all_ended().await;
    show.rules_were_kept(300, Duration::from_secs(3600));
}

/// Those that have not died; whoever has must have died where it was to.
async fn still_alive(show: &mut Show<'_>, alive: Vec<(Death, String)>) -> Vec<(Death, String)> {
    let mut left = Vec::new();
    for (death, name) in alive {
        let process = show.fleet.process(&name);
        match process.wait(Duration::from_millis(1)).await {
            None => left.push((death, name)),
            Some(status) => {
                assert_eq!(status.signal(), Some(SIGABRT), "{name} was to abort at {death:?}:\n{}", process.tail());
            }
        }
    }
    left
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_leaves_totals_exact() {
    crash_everywhere(Mode::Total, 121).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_leaves_increments_exact() {
    crash_everywhere(Mode::Increment, 122).await;
}
