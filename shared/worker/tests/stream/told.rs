//! What a ring tells: handled without being read, and not if it was settled before.

use std::time::Duration;

use event::EntryId;
use store::{Owned, Stage, StoreError, now_ms};
use tokio_util::sync::CancellationToken;
use worker::stream;

use crate::{
    scribe::{Scribe, log},
    stand::{Stand, numbers},
};

/// Rings as whoever appended an entry does.
async fn ring(stand: &Stand, owned: &Owned, id: EntryId, payload: &str) {
    let partition = owned.partition().index();
    let now_ms = now_ms(&stand.redis).await.unwrap();
    let mut publish = redis::cmd("PUBLISH");
    publish.arg(stand.keys.ring(Stage::Normalise));
    publish.arg(format!("{partition} {now_ms} 0 {id} {}\n{payload}", payload.len()));
    let _listeners: u64 = publish.query_async(&mut stand.redis.clone()).await.unwrap();
}

/// Appends without a ring.
async fn append(stand: &Stand, owned: &Owned, payload: &str) -> EntryId {
    let mut command = redis::cmd("XADD");
    command.arg(stand.keys.raw(owned.partition())).arg("*").arg("e").arg(payload);
    let id: String = command.query_async(&mut stand.redis.clone()).await.unwrap();
    id.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_ring_tells_is_handled_without_being_read() {
    for stand in Stand::in_both_modes().await {
        let scribe = Scribe::new();
        let owned = stand.own().await;
        stand
            .work_until(&scribe, &owned, async {
                stand.append(&owned, numbers("ada", 1)).await;
                scribe.logged("ada", 1).await;
                // What is told differs from what stands there, so that it shows which of them was handled.
                let mut told = 0;
                for number in 1..100 {
                    let id = append(&stand, &owned, &format!("ada {number}")).await;
                    ring(&stand, &owned, id, &format!("ada told{number}")).await;
                    scribe.logged("ada", number + 1).await;
                    told = log(&owned, "ada").await.matches("told").count();
                    if told > 0 {
                        break;
                    }
                }
                assert!(told > 0, "nothing of what was told was handled");
            })
            .await;
        assert_eq!(stand.left(&owned).await, (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_that_comes_after_its_entry_was_settled_changes_nothing() {
    for stand in Stand::in_both_modes().await {
        let scribe = Scribe::new();
        let owned = stand.own().await;
        stand.append(&owned, numbers("ada", 1)).await;
        stand.work_until(&scribe, &owned, scribe.logged("ada", 1)).await;
        let settled = EntryId { ms: now_ms(&stand.redis).await.unwrap(), seq: 0 };

        // The next owner has read nothing yet that is as young as the entry.
        let drain = CancellationToken::new();
        let pace = stream::Pace { bell: stand.bell.clone(), lock_mode: stand.lock_mode };
        let mut work = Box::pin(stream::work(&scribe, owned.clone(), pace, drain));
        let ended = loop {
            ring(&stand, &owned, settled, "ada 0").await;
            if let Ok(ended) = tokio::time::timeout(Duration::from_millis(20), &mut work).await {
                break ended;
            }
        };
        assert!(matches!(ended, Err(StoreError::Gone { .. })), "{ended:?}");
        assert_eq!(log(&owned, "ada").await, " 0", "handled twice");
    }
}
