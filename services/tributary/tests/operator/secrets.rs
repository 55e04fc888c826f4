//! A token that was imported shows nowhere.

use crate::stand::{PLANTED, Stand};

#[tokio::test]
async fn a_planted_token_is_in_no_output_and_nowhere_in_redis() {
    let stand = Stand::with_people().await;
    let id = crate::dead_letters::bury(&stand, "alice", 1).await;
    for arguments in [
        &["connections", "list"][..],
        &["connections", "list", "--json"],
        &["connections", "show", "alice"],
        &["connections", "show", "alice", "--json"],
        &["status"],
        &["status", "--json"],
        &["transactions", "alice", "--json"],
        &["explain", "alice", "keystrokes", "2026-11-20", "--json"],
        &["dead-letters", "list", "--json"],
        &["dead-letters", "show", &id, "--json"],
        &["sync", "alice"],
        &["--print-settings"],
    ] {
        let done = stand.run(arguments).await;
        let said = done.to_string();
        assert!(PLANTED.iter().all(|token| !said.contains(token)), "{arguments:?}: {said}");
        done.ok();
    }
    let dump = stand.dump().await;
    assert!(!dump.is_empty());
    for (key, value) in dump {
        for token in PLANTED {
            let found = value.windows(token.len()).any(|bytes| bytes == token.as_bytes());
            assert!(!found && !key.contains(token), "{token} stands in {key}");
        }
    }
}
