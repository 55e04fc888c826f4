//! What Redis says, read by hand from the keys that ARCHITECTURE.md names.

use std::collections::BTreeMap;

use redis::aio::MultiplexedConnection;

const PARTITIONS: u8 = 64;

/// A look into Redis.
#[derive(Clone)]
pub(crate) struct Ledger(MultiplexedConnection);

/// What waits in a stage's partition, and for how long nobody has owned it.
pub(crate) struct Standing {
    pub(crate) stage: &'static str,
    pub(crate) partition: u8,
    pub(crate) waiting: u64,
    pub(crate) unowned_ms: u64,
}

impl Ledger {
    pub(crate) async fn of(url: &str) -> Ledger {
        let client = redis::Client::open(url).expect("an address");
        Ledger(client.get_multiplexed_async_connection().await.expect("Redis answers"))
    }

    /// The durable counters, added up over the partitions: `appended:toggl`, `state:toggl:completed`.
    pub(crate) async fn counts(&mut self) -> BTreeMap<String, f64> {
        let mut all = redis::pipe();
        for partition in 0..PARTITIONS {
            all.cmd("HGETALL").arg(format!("{{p{partition:02}}}:counts"));
        }
        let counts: Vec<BTreeMap<String, i32>> = all.query_async(&mut self.0).await.expect("counters");
        let mut sums = BTreeMap::new();
        for (field, count) in counts.into_iter().flatten() {
            *sums.entry(field).or_default() += f64::from(count);
        }
        sums
    }

    /// Every partition of every stage that reads a stream.
    pub(crate) async fn standing(&mut self) -> Vec<Standing> {
        let places: Vec<(&str, &str, u8)> = [("normalise", "raw"), ("write", "normalised")]
            .into_iter()
            .flat_map(|(stage, stream)| (0..PARTITIONS).map(move |partition| (stage, stream, partition)))
            .collect();
        let mut look = redis::pipe();
        for (stage, stream, partition) in &places {
            look.cmd("XLEN").arg(format!("{{p{partition:02}}}:{stream}"));
            look.cmd("HMGET").arg(format!("{{p{partition:02}}}:lease:{stage}")).arg("until");
        }
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(&mut self.0).await.expect("a time");
        let now_ms = seconds * 1000 + micros / 1000;
        let found: Vec<redis::Value> = look.query_async(&mut self.0).await.expect("an answer");
        let read = |((stage, _, partition), pair): ((&'static str, &str, u8), &[redis::Value])| {
            let waiting = redis::from_redis_value(pair[0].clone()).expect("a length");
            let [until]: [Option<u64>; 1] = redis::from_redis_value(pair[1].clone()).expect("a lease");
            Standing { stage, partition, waiting, unowned_ms: until.map_or(0, |until| now_ms.saturating_sub(until)) }
        };
        places.into_iter().zip(found.chunks(2)).map(read).collect()
    }
}
