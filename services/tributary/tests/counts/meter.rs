//! Redis' commands and bytes, without those of looking.

use futures::StreamExt;
use redis::{AsyncCommands, aio::MultiplexedConnection};

use crate::stand::Stand;

/// What we ask ourselves, and what a connection says when it is new.
const OURS: [&str; 4] = ["info", "xinfo", "client", "hello"];

pub(crate) struct Meter {
    commands: u64,
}

impl Meter {
    pub(crate) async fn start(stand: &Stand) -> Self {
        Self { commands: commands(stand.link()).await }
    }

    /// Commands done since for each of so many events: those that scripts call, and the calls of scripts.
    pub(crate) async fn commands(self, stand: &Stand, events: u64) -> f64 {
        each(commands(stand.link()).await - self.commands, events)
    }
}

async fn commands(mut link: MultiplexedConnection) -> u64 {
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut link).await.unwrap();
    // Lines such as `cmdstat_client|setinfo:calls=2,usec=5,…`
    let counted = stats.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let name = name.split('|').next()?;
        let calls = rest.strip_prefix("calls=")?.split(',').next()?;
        (!OURS.contains(&name)).then(|| calls.parse::<u64>().expect("Redis counts in digits"))
    });
    counted.sum()
}

/// Bytes of all keys, by what each holds: unlike `used_memory` it has no buffers of connections in it.
pub(crate) async fn bytes(stand: &Stand) -> u64 {
    let mut link = stand.link();
    // Nothing writes while we look, so that no key is named twice.
    let keys: Vec<String> = link.scan().await.unwrap().map(Result::unwrap).collect().await;
    let mut sizes = redis::pipe();
    for key in &keys {
        sizes.cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(0);
    }
    let sizes: Vec<Option<u64>> = sizes.query_async(&mut link).await.unwrap();
    sizes.into_iter().flatten().sum()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn each(sum: u64, events: u64) -> f64 {
    sum as f64 / events as f64
}
