//! What stands on a screen of a given size.

use std::{collections::BTreeMap, time::Duration};

use console::{LockRow, Paused, StageStatus};
use ratatui::{Terminal, backend::TestBackend};

use super::*;

const STAGES: [&str; 3] = ["fetch", "normalise", "write"];

/// Four partitions: nobody has owned normalise of number 2 for 31 s, and 3 has the oldest entries.
fn status() -> Status {
    let partition = |number: u16, stage: &'static str| {
        let is_free = (number, stage) == (2, "normalise");
        let is_old = (number, stage) == (3, "write");
        PartitionRow {
            partition: number,
            stage,
            owner: (!is_free).then(|| format!("{stage}-a")),
            epoch: 1,
            unowned_ms: Some(if is_free { 31_000 } else { 0 }),
            backlog: if is_old { 12 } else { 0 },
            parked: if is_old { 5 } else { 0 },
            oldest_ms: if is_old { 61_500 } else { 0 },
        }
    };
    let stage = |stage: &'static str| StageStatus {
        stage,
        owned: if stage == "normalise" { 3 } else { 4 },
        unowned: usize::from(stage == "normalise"),
        owners: BTreeMap::from([(format!("{stage}-a"), 4)]),
        backlog: if stage == "write" { 12 } else { 0 },
        runnable: if stage == "write" { 7 } else { 0 },
        parked: if stage == "write" { 5 } else { 0 },
        oldest_ms: if stage == "write" { 61_500 } else { 0 },
    };
    Status {
        stages: STAGES.map(stage).into(),
        transactions: BTreeMap::from([("toggl".to_owned(), transactions(100, 7))]),
        dead_letters: 3,
        users_due: 9,
        users_limited: 2,
        polls_overdue_ms: 1_200,
        connections: BTreeMap::from([(
            "toggl".to_owned(),
            BTreeMap::from([("on".to_owned(), 5), ("off".to_owned(), 1)]),
        )]),
        paused: vec![Paused { scope: "source ynab".into(), reason: "their API".into(), since_ms: 0, by: "kim".into() }],
        key_locks: vec![LockRow {
            stage: "write",
            partition: 1,
            user: "alice".into(),
            who: "replay".into(),
            left_ms: 900,
        }],
        partitions: STAGES.iter().flat_map(|stage| (0..4).map(|number| partition(number, stage))).collect(),
    }
}

fn transactions(completed: i64, queued: i64) -> BTreeMap<String, i64> {
    BTreeMap::from([("completed".to_owned(), completed), ("queued".to_owned(), queued), ("errored".to_owned(), 4)])
}

fn view() -> View {
    let mut view = View::new("redis://localhost:6379".to_owned(), Duration::from_secs(2));
    view.show(1_000_000, status());
    view
}

fn screen(view: &mut View, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(line).collect()
}

/// The words of the line that begins with this one.
fn words<'a>(screen: &'a [String], first: &str) -> Vec<&'a str> {
    let line = screen.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
    line.into_iter().find(|words| words.first() == Some(&first)).unwrap_or_else(|| panic!("no {first} in {screen:#?}"))
}

#[test]
fn stages_sources_and_what_needs_a_person_stand_on_the_screen() {
    let screen = screen(&mut view(), 110, 30);
    assert!(
        screen[0].starts_with("tributary · redis://localhost:6379 · 1970-01-01T00:16:40Z · every 2 s"),
        "{screen:#?}"
    );
    assert_eq!(words(&screen, "normalise"), ["normalise", "3", "by", "1", "1", "0", "0", "0", "0.0", "s"]);
    assert_eq!(words(&screen, "write"), ["write", "4", "by", "1", "0", "12", "7", "5", "61.5", "s"]);
    assert_eq!(words(&screen, "toggl"), ["toggl", "-", "-", "7", "0", "100", "4", "5", "1"]);
    let all = screen.join("\n");
    assert!(all.contains("dead letters 3 · users due 9, without budget 2 · longest overdue poll 1.2 s"), "{all}");
    assert!(all.contains("paused: source ynab since - by kim: their API"), "{all}");
    assert!(all.contains("alice of write is locked by replay for 0.9 s"), "{all}");
}

#[test]
fn partitions_without_an_owner_come_first_then_those_with_the_oldest_entries() {
    let screen = screen(&mut view(), 110, 30);
    let begin = screen.iter().position(|line| line.starts_with("partition")).unwrap();
    let numbers: Vec<&str> = screen[begin + 1..].iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(numbers, ["02", "03", "00", "01"]);
    assert_eq!(words(&screen, "02"), ["02", "fetch-a", "nobody,", "31.0", "s", "write-a", "0", "0", "0.0", "s"]);
    assert_eq!(words(&screen, "03"), ["03", "fetch-a", "normalise-a", "write-a", "12", "5", "61.5", "s"]);
}

#[test]
fn rates_are_what_moved_between_two_readings() {
    let mut view = view();
    let later = Status { transactions: BTreeMap::from([("toggl".to_owned(), transactions(125, 12))]), ..status() };
    view.show(1_002_000, later);
    let screen = screen(&mut view, 110, 30);
    // 25 more ended in two seconds, and 5 more wait.
    assert_eq!(words(&screen, "toggl")[..3], ["toggl", "15.0/s", "12.5/s"]);
}

#[test]
fn what_cannot_be_read_is_said_and_the_last_status_stays() {
    let mut view = view();
    view.fail("Redis: reading the clock: gone".to_owned());
    let screen = screen(&mut view, 110, 30);
    assert_eq!(screen[1], "cannot be read: Redis: reading the clock: gone");
    assert_eq!(words(&screen, "write")[0], "write");
}

#[test]
fn a_small_screen_scrolls_to_the_last_partition_and_no_further() {
    let mut view = view();
    let shown = |screen: &[String]| screen.last().unwrap().split_whitespace().next().unwrap_or_default().to_owned();
    assert_eq!(shown(&screen(&mut view, 110, 16)), "02");
    view.scroll(isize::MAX);
    assert_eq!(shown(&screen(&mut view, 110, 16)), "01");
    view.scroll(-1);
    assert_eq!(shown(&screen(&mut view, 110, 16)), "00");
    for (width, height) in [(1, 1), (20, 5), (110, 2)] {
        screen(&mut view, width, height);
    }
}
