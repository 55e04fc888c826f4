//! Pausing and resuming, and what operators are told of it.

use serde_json::Value;

use crate::stand::Stand;

/// Every kind of scope, of people that the stand knows.
const SCOPES: [&[&str]; 7] = [
    &["all"],
    &["attribute", "alice", "keystrokes"],
    &["connection", "alice", "exist"],
    &["connection", "alice", "toggl"],
    &["partition", "63"],
    &["source", "whatpulse"],
    &["user", "bob"],
];

async fn paused(stand: &Stand, command: &[&str]) -> Vec<String> {
    let told = stand.run(&[command, &["--json"]].concat()).await.json();
    let scope = |pause: &Value| pause["scope"].as_str().unwrap().to_owned();
    let mut scopes: Vec<String> = told["paused"].as_array().unwrap().iter().map(scope).collect();
    scopes.sort();
    scopes
}

#[tokio::test]
async fn every_scope_is_paused_told_and_resumed() {
    let stand = Stand::with_people().await;
    for scope in SCOPES {
        let words = scope.join(" ");
        let said = stand.run(&[&["pause"], scope, &["--reason", "we look at it", "--by", "ada"]].concat()).await.ok();
        assert_eq!(said, format!("paused {words}\n"));
        let told = stand.run(&["status", "--json"]).await.json();
        let pause = &told["paused"].as_array().unwrap()[0];
        assert_eq!((&pause["scope"], &pause["reason"]), (&words.into(), &"we look at it".into()));
        assert_eq!(pause["by"], "ada");
        assert!(pause["since_ms"].as_u64().unwrap() > 1_700_000_000_000);
        let text = stand.run(&["status"]).await.ok();
        assert!(text.contains(&format!("paused: {} since 20", scope.join(" "))), "{text}");
        assert!(text.contains("by ada: we look at it"), "{text}");

        assert_eq!(stand.run(&[&["resume"], scope].concat()).await.ok(), format!("resumed {}\n", scope.join(" ")));
        assert_eq!(paused(&stand, &["status"]).await, [""; 0]);
        let again = stand.run(&[&["resume"], scope].concat()).await;
        assert_eq!(again.code, Some(1), "{again}");
        assert!(again.stderr.contains("is not paused"), "{again}");
    }
}

#[tokio::test]
async fn a_user_is_shown_with_what_concerns_them_and_resuming_says_what_still_does() {
    let stand = Stand::with_people().await;
    for scope in SCOPES {
        stand.run(&[&["pause"], scope, &["--reason", "r"]].concat()).await.ok();
    }
    let all: Vec<String> = SCOPES.iter().map(|scope| scope.join(" ")).collect();
    assert_eq!(paused(&stand, &["status"]).await, all);
    // Bob has no WhatPulse, and neither of them lives in partition 63.
    assert_eq!(paused(&stand, &["connections", "show", "bob"]).await, ["all", "user bob"]);
    let of_alice =
        ["all", "attribute alice keystrokes", "connection alice exist", "connection alice toggl", "source whatpulse"];
    assert_eq!(paused(&stand, &["connections", "show", "alice"]).await, of_alice);
    assert!(stand.run(&["connections", "show", "alice"]).await.ok().contains("paused: connection alice toggl since"));

    let resumed = stand.run(&["resume", "user", "bob"]).await;
    assert!(resumed.stderr.contains("still paused: all"), "{resumed}");
    // Importing again pauses nothing and resumes nothing; a connection that goes takes its pause with it.
    stand.import(crate::stand::PEOPLE).await.ok();
    assert_eq!(paused(&stand, &["connections", "show", "alice"]).await, of_alice);
    stand.run(&["connections", "remove", "alice", "--yes"]).await.ok();
    stand.import(crate::stand::PEOPLE).await.ok();
    assert_eq!(paused(&stand, &["connections", "show", "alice"]).await, ["all", "source whatpulse"]);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_paused() {
    let stand = Stand::with_people().await;
    let cases: [(&[&str], i32, &str); 11] = [
        (&["user", "nobody"], 1, "nobody is connected under the name nobody"),
        (&["connection", "nobody", "toggl"], 1, "nobody is connected under the name nobody"),
        (&["connection", "bob", "whatpulse"], 1, "bob has no connection to whatpulse"),
        (&["attribute", "alice", "steps"], 1, "no connection of alice feeds steps"),
        (&["connection", "alice", "fitbit"], 2, "there is no source \"fitbit\", only"),
        (&["source", "fitbit"], 2, "there is no source \"fitbit\", only"),
        (&["source", "exist"], 2, "there is no source \"exist\", only"),
        (&["partition", "64"], 2, "there is no partition \"64\", only 0 to 63"),
        (&["partition", "-1"], 2, "-1"),
        (&["everything"], 2, "a scope is one of: all, source NAME"),
        (&["all", "of", "it"], 2, "a scope is one of: all, source NAME"),
    ];
    for (scope, code, said) in cases {
        let refused = stand.run(&[&["pause"], scope, &["--reason", "r"]].concat()).await;
        assert_eq!(refused.code, Some(code), "{refused}");
        assert!(refused.stderr.contains(said), "{refused}");
    }
    for reason in [&["--reason", "  "][..], &[]] {
        let refused = stand.run(&[&["pause", "all"], reason].concat()).await;
        assert_eq!(refused.code, Some(2), "{refused}");
    }
    assert_eq!(paused(&stand, &["status"]).await, [""; 0]);
}
