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
    pub(crate) waiting: f64,
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

    /// Transactions by source and state; what was appended and is in no other state is queued.
    pub(crate) async fn transactions(&mut self) -> BTreeMap<(String, String), f64> {
        let mut states = BTreeMap::new();
        for (field, count) in self.counts().await {
            let words: Vec<&str> = field.split(':').collect();
            let mut add = |state: &str, count| {
                *states.entry((words[1].to_owned(), state.to_owned())).or_insert(0.0) += count;
            };
            if words[0] == "state" {
                add(words[2], count);
            }
            add("queued", if words[0] == "state" { -count } else { count });
        }
        states
    }

    /// Dead letters of every partition.
    pub(crate) async fn dead_letters(&mut self) -> f64 {
        let mut sum = 0.0;
        for key in self.keys("*:dead:*").await {
            let letters: u32 = redis::cmd("HLEN").arg(key).query_async(&mut self.0).await.expect("a number");
            sum += f64::from(letters);
        }
        sum
    }

    /// Connections by peer and state, out of everybody's documents.
    pub(crate) async fn connections(&mut self) -> BTreeMap<(String, String), f64> {
        let mut states = BTreeMap::new();
        for key in self.keys("*:user:*").await {
            let documents: BTreeMap<String, String> =
                redis::cmd("HGETALL").arg(key).query_async(&mut self.0).await.expect("documents");
            for (field, text) in documents {
                let peer = field.strip_prefix("source:").or((field == "exist").then_some("exist"));
                let Some(peer) = peer else { continue };
                let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                let state = document["connected"]["state"].as_str().expect("a state");
                *states.entry((peer.to_owned(), state.to_owned())).or_insert(0.0) += 1.0;
            }
        }
        states
    }

    async fn keys(&mut self, pattern: &str) -> Vec<String> {
        redis::cmd("KEYS").arg(pattern).query_async(&mut self.0).await.expect("names")
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
            let waiting = f64::from(redis::from_redis_value::<u32>(pair[0].clone()).expect("a length"));
            let [until]: [Option<u64>; 1] = redis::from_redis_value(pair[1].clone()).expect("a lease");
            Standing { stage, partition, waiting, unowned_ms: until.map_or(0, |until| now_ms.saturating_sub(until)) }
        };
        places.into_iter().zip(found.chunks(2)).map(read).collect()
    }
}
