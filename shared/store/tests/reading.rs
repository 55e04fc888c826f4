//! Reading a stream beside a commit, on a real Redis.

use std::sync::Arc;

use event::{EntryId, PartitionCount};
use futures::future::join_all;
use store::{Commit, Keys, Lease, Owned, Redis, Stage};

/// More than a connection takes in at once: some wait for their turn to be sent.
const AT_ONCE: u16 = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_read_beside_a_commit_sees_what_the_commit_did_however_busy_the_connection_is() {
    let url = [("TRIBUTARY_REDIS_URL".to_owned(), testkit::redis().url())];
    let redis = Redis::connect(&settings::Settings::load(url, &[], None).unwrap().redis_url).await.unwrap();
    let keys = Arc::new(Keys::with_prefix(&testkit::unique_prefix()));
    let partitions = PartitionCount::try_new(AT_ONCE).unwrap();
    let each = partitions.all().map(async |partition| {
        let lease = Lease::acquire(&redis, &keys, Stage::Write, partition, "us").await.unwrap().unwrap();
        let owned = Owned { redis: redis.clone(), keys: Arc::clone(&keys), lease };
        owned.open_stream().await.unwrap();
        let mut commit = Commit::new();
        commit.append(&keys.normalised(partition), b"an entry");
        let reading = owned.commit_and_read(commit, EntryId { ms: 0, seq: 0 }, 10).await.unwrap();
        assert_eq!(reading.entries.len(), 1, "partition {partition} was read before the commit");
    });
    join_all(each).await;
}
