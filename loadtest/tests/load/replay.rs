//! What was recorded, played again.

use std::time::Duration;

use crate::tool::{Tool, good};

#[test]
fn what_is_recorded_and_replayed_ends_in_the_same_state() {
    let tool = Tool::new();
    // The days are the recording's: no midnight of anybody's may lie between the two.
    good(&tool.run(&["run", "small.toml", "--results", "first", "--record", "recorded.jsonl.zst"]));
    let first = tool.outcome("first", "small");
    good(&tool.run(&["replay", "recorded.jsonl.zst", "--fast", "--results", "second"]));
    let second = tool.outcome("second", "recorded");
    assert_eq!(first["state"], second["state"]);
    assert_eq!(first["numbers"], second["numbers"]);
    assert!(first["numbers"]["all"].as_u64().is_some_and(|all| all > 60), "{}", first["numbers"]);
    assert_eq!(second["seed"], serde_json::Value::Null, "a recorded stream has none");

    let said = good(&tool.run(&["compare", "first/small.json", "second/recorded.json"]));
    assert!(said.contains("holds") && said.contains("not runs of the same stream"), "{said}");

    let other = tool.run(&["run", "small.toml", "--seed", "6", "--results", "third"]);
    good(&other);
    assert_ne!(tool.outcome("third", "small")["state"], first["state"], "another seed makes other numbers");
}

#[test]
fn a_live_recorder_listens_says_where_and_ends_with_a_whole_file() {
    let tool = Tool::new();
    let import = r#"[{"user": "alice", "timezone": "Asia/Tokyo", "connections": [{"source": "toggl",
        "credentials": {"api_token": "sesame"}, "settings": {"map": {"neutral_min": {"tags": ["calm"], "template": "neutral_min"}}}}]}]"#;
    std::fs::write(tool.path("people.json"), import).expect("it can be written");
    let begun = std::time::Instant::now();
    let arguments =
        ["record", "--import", "people.json", "--listen", "127.0.0.1:0", "--seconds", "1", "--out", "live.jsonl"];
    let said = good(&tool.run(&arguments));
    assert!(said.contains("TRIBUTARY_TOGGL_API_URL=http://127.0.0.1:"), "{said}");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let text = std::fs::read_to_string(tool.path("live.jsonl")).expect("a file");
    assert!(text.contains("Asia/Tokyo") && !text.contains("alice") && !text.contains("sesame"), "{text}");
}
