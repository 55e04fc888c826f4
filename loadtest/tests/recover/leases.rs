//! Who owns which partition, as Redis knows it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use loadtest::fleet::{Fleet, Role};
use redis::aio::MultiplexedConnection;
use tokio::time::Instant;

const PARTITIONS: u8 = 64;

/// The word that names a service's leases in Redis.
fn stage(role: Role) -> &'static str {
    match role {
        Role::Fetcher => "fetch",
        Role::Normaliser => "normalise",
        Role::ExistWriter => "write",
        Role::Console => panic!("the console owns no partitions"),
    }
}

/// Watches the leases of one service.
pub(crate) struct Leases {
    link: MultiplexedConnection,
    stage: &'static str,
    free_since: BTreeMap<u8, Instant>,
    longest: Duration,
}

impl Leases {
    pub(crate) async fn of(fleet: &mut Fleet, role: Role) -> Leases {
        let url = fleet.redis().expect("a private Redis").url();
        let client = redis::Client::open(url).expect("an address");
        let link = client.get_multiplexed_async_connection().await.expect("Redis answers");
        Leases { link, stage: stage(role), free_since: BTreeMap::new(), longest: Duration::ZERO }
    }

    /// Each partition's owner, if it has one by Redis' clock. It may be gone: its lease lasts for a while.
    async fn owners(&mut self) -> Vec<Option<String>> {
        let mut look = redis::pipe();
        for partition in 0..PARTITIONS {
            let key = format!("{{p{partition:02}}}:lease:{}", self.stage);
            look.cmd("HMGET").arg(key).arg("owner").arg("until");
        }
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(&mut self.link).await.expect("a time");
        let now_ms = seconds * 1000 + micros / 1000;
        let leases: Vec<(Option<String>, Option<u64>)> = look.query_async(&mut self.link).await.expect("leases");
        let owner = |(owner, until): (Option<String>, Option<u64>)| {
            owner.filter(|owner| !owner.is_empty() && until.is_some_and(|until| until > now_ms))
        };
        leases.into_iter().map(owner).collect()
    }

    /// How many processes own something, if every partition is owned.
    pub(crate) async fn owning(&mut self) -> Option<usize> {
        let owners: Option<BTreeSet<String>> = self.owners().await.into_iter().collect();
        owners.map(|owners| owners.len())
    }

    /// Looks once, and keeps the longest time that any partition has been seen without an owner.
    pub(crate) async fn look(&mut self) {
        let owners = self.owners().await;
        let free: Vec<u8> = (0..).zip(&owners).filter(|(_, owner)| owner.is_none()).map(|(free, _)| free).collect();
        let now = Instant::now();
        self.free_since.retain(|partition, _| free.contains(partition));
        for partition in free {
            let since = *self.free_since.entry(partition).or_insert(now);
            self.longest = self.longest.max(now - since);
        }
    }

    pub(crate) fn longest_free(&self) -> Duration {
        self.longest
    }
}
