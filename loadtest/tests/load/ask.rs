//! What is asked wrongly, what does not hold, and what is written.

use crate::tool::{Tool, good};

#[test]
fn a_bound_that_does_not_hold_fails_the_run_and_is_named() {
    let tool = Tool::new();
    tool.bounded("strict", "redis-commands-per-event = 0");
    let output = tool.run(&["run", "strict.toml", "--results", "results"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let failed: Vec<&str> = said.lines().filter(|line| line.contains("FAILS")).collect();
    assert!(failed.len() == 1 && failed[0].contains("commands per event"), "{said}");
    let outcome = tool.outcome("results", "strict");
    assert_eq!(outcome["numbers"]["all"], outcome["numbers"]["right"], "the numbers are right all the same");

    let page = std::fs::read_to_string(tool.path("results/strict.html")).expect("a page");
    assert!(page.contains("NOT everything holds") && page.matches("<svg").count() >= 6);
    for foreign in ["<script", "<link", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(foreign), "the page needs nothing else, yet has {foreign}");
    }
    for figure in ["due → told", "told → taken", "told → ledger", "told → in Exist", "dead letters"] {
        assert!(page.contains(figure), "a reader looks for {figure}");
    }
    let again = tool.run(&["report", "results/strict.json", "--out", "again.html"]);
    assert_eq!(again.status.code(), Some(1), "the verdict stays what it was");
    assert_eq!(std::fs::read_to_string(tool.path("again.html")).expect("a page"), page);
}

#[test]
fn the_same_seed_makes_the_same_file() {
    let tool = Tool::new();
    for (out, seed) in [("one.jsonl", "7"), ("two.jsonl", "7"), ("three.jsonl", "8")] {
        good(&tool.run(&["generate", "small.toml", "--seed", seed, "--out", out]));
    }
    let read = |name: &str| std::fs::read(tool.path(name)).expect("a file");
    assert_eq!(read("one.jsonl"), read("two.jsonl"));
    assert_ne!(read("one.jsonl"), read("three.jsonl"));
}

#[test]
fn what_is_asked_wrongly_is_said_and_exits_with_2() {
    let tool = Tool::new();
    tool.scenario("broken", "about = 'nothing'");
    std::fs::write(tool.path("stream.jsonl"), "{}\n").expect("it can be written");
    let wrong: [(&[&str], &str); 5] = [
        (&["run", "nowhere"], "no scenario is called nowhere"),
        (&["run", "broken.toml"], "missing field"),
        (&["replay", "stream.jsonl"], "line 1"),
        (&["replay", "gone.jsonl"], "gone.jsonl"),
        (&["compare", "stream.jsonl", "stream.jsonl"], "no run's JSON"),
    ];
    for (arguments, reason) in wrong {
        let output = tool.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
}

#[test]
fn records_that_nobody_can_read_become_as_many_dead_letters_and_other_sources_are_told_of_too() {
    let tool = Tool::new();
    let small = std::fs::read_to_string(tool.path("small.toml")).expect("it was written");
    let sources = small.replace("before = 40", "sources = [\"toggl\", \"github\", \"trakt\"]\nbefore = 40");
    let broken = sources.replace("poison = 10", "poison = 60") + "\n[services]\nsource-requests-per-hour = 200\n";
    tool.scenario("sources", &broken);
    good(&tool.run(&["run", "sources.toml", "--results", "results"]));
    let outcome = tool.outcome("results", "sources");
    let letters = outcome["dead_letters"].as_u64().expect("a number");
    assert!(letters > 3, "{letters} dead letters");
    assert_eq!(
        (&outcome["told"]["broken"], &outcome["counts"]["states"]["errored"]),
        (&letters.into(), &letters.into())
    );
    let page = std::fs::read_to_string(tool.path("results/sources.html")).expect("a page");
    assert!(page.contains("dead letters"));

    let output = tool.run(&["run", "sources.toml", "--results", "results", "--record", "stream.jsonl"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("only Toggl Track can be recorded"), "{said}");
}
