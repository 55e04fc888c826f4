//! What is paused is not polled; its webhooks are taken all the same, and resuming polls it at once.

use std::time::Duration;

use serde_json::json;
use store::{
    Stage,
    pause::{self, Changed, Pause, Scope},
};
use tokio::time::{Instant, sleep};

use crate::{
    fake,
    stand::{SOON, Stand, id},
};

/// Resuming takes effect within this.
const AT_ONCE: Duration = Duration::from_secs(2);

impl Stand {
    async fn change(&self, scope: &Scope, to: Option<&Pause>) -> Changed {
        pause::change(&self.redis, &self.keys, self.partition_of("ada"), scope, to).await.unwrap()
    }

    async fn pause(&self, scope: &Scope) {
        let pause = Pause { reason: "a migration".into(), by: "ada".into(), since_ms: 7 };
        assert_eq!(self.change(scope, Some(&pause)).await, Changed::Done);
    }

    /// Waits until the poll that was due was skipped.
    async fn until_skipped(&self) {
        let set = self.keys.skipped(self.partition_of("ada"), Stage::Fetch);
        let deadline = Instant::now() + SOON;
        let mut command = redis::cmd("SISMEMBER");
        command.arg(set).arg("ada/fake");
        while !command.query_async::<bool>(&mut self.redis.clone()).await.unwrap() {
            assert!(Instant::now() < deadline, "the poll is skipped");
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn until_reads(&self, more_than: usize, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.reads() <= more_than {
            assert!(Instant::now() < deadline, "no poll within {limit:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_is_not_polled_and_takes_webhooks_and_is_polled_at_once_when_resumed() {
    let credentials = json!({"webhook_secret": "s3cret", "topics": ["ada"]});
    for scope in [
        Scope::All,
        Scope::Source(fake::name()),
        Scope::Partition(Stand::new().await.partition_of("ada")),
        Scope::User(id("ada")),
        Scope::Connection(id("ada"), fake::name()),
    ] {
        let stand = Stand::new().await;
        stand.connect("ada", credentials.clone()).await;
        stand.pause(&scope).await;
        let fetcher = stand.fetcher().await;
        stand.until_skipped().await;
        let told = fetcher.hook("/hooks/fake/ada", "s3cret", "1", &json!({"topic": "ada", "do": "row"})).await;
        assert_eq!(told.status, 202, "{scope}: {told:?}");
        assert_eq!((stand.reads(), stand.raw("ada").await.len()), (0, 1), "{scope}: taken, and not polled");
        // Due out of turn, and skipped again.
        let (redis, keys, partition) = (&stand.redis, &stand.keys, stand.partition_of("ada"));
        store::operate::sync_now(redis, keys, partition, &id("ada"), &[fake::name()]).await.unwrap();
        sleep(Duration::from_millis(700)).await;
        assert_eq!(stand.reads(), 0, "{scope}: asking does not help");

        assert_eq!(stand.change(&scope, None).await, Changed::Done);
        stand.until_reads(0, AT_ONCE).await;
        fetcher.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_scopes_pause_lets_the_poll_pass_and_one_resumed_scope_of_two_does_not() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "s3cret"})).await;
    stand.pause(&Scope::Connection(id("ada"), event::SourceName::try_new("exist").unwrap())).await;
    stand.pause(&Scope::Source(event::SourceName::try_new("other").unwrap())).await;
    let fetcher = stand.fetcher().await;
    stand.until_reads(0, SOON).await;

    let (all, user) = (Scope::All, Scope::User(id("ada")));
    stand.pause(&all).await;
    stand.pause(&user).await;
    let (redis, keys, partition) = (&stand.redis, &stand.keys, stand.partition_of("ada"));
    store::operate::sync_now(redis, keys, partition, &id("ada"), &[fake::name()]).await.unwrap();
    stand.until_skipped().await;
    let before = stand.reads();
    stand.change(&all, None).await;
    stand.until_skipped().await;
    sleep(Duration::from_millis(700)).await;
    assert_eq!(stand.reads(), before, "the user is still paused");
    stand.change(&user, None).await;
    stand.until_reads(before, AT_ONCE).await;
    fetcher.leave().await;
}
