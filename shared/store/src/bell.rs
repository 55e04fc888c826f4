//! The doorbell: wakes a partition's reader when something came, on a connection of its own.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use event::{Partition, PartitionCount};
use futures::StreamExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{Keys, Reading, Redis, Stage, StoreError, redis_link};

/// How often a reader looks by itself where it is rung. A ring can be lost: it is no promise.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a reader looks by itself in a cluster, where it is not rung.
const LOOK_EVERY_IN_CLUSTER: Duration = Duration::from_millis(25);
/// How long before a lost connection is tried again.
const LISTEN_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Rings for every partition of one stage. Cloning it shares it.
#[derive(Clone)]
pub struct Bell {
    rings: Arc<[Ring]>,
    look_every: Duration,
}

/// One partition's.
#[derive(Default)]
struct Ring {
    rung: Notify,
    /// What the last ring told.
    told: Mutex<Option<Reading>>,
}

impl Ring {
    fn tell(&self, told: Option<Reading>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = told;
        self.rung.notify_one();
    }

    fn take(&self) -> Option<Reading> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Bell {
    /// Starts to listen, until `stop`.
    #[must_use]
    pub fn listen(redis: &Redis, keys: &Keys, stage: Stage, count: PartitionCount, stop: CancellationToken) -> Self {
        let rings: Arc<[Ring]> = count.all().map(|_| Ring::default()).collect();
        let look_every = if redis.is_cluster() { LOOK_EVERY_IN_CLUSTER } else { LOOK_EVERY };
        let bell = Self { rings, look_every };
        if !redis.is_cluster() {
            let (url, channel, heard) = (redis.url().clone(), keys.ring(stage), bell.clone());
            tokio::spawn(stop.run_until_cancelled_owned(async move {
                loop {
                    if let Err(error) = heard.hear(&url, &channel).await {
                        warn!(error = %error, "the doorbell of {stage} is off; readers look by themselves");
                    }
                    tokio::time::sleep(LISTEN_AGAIN_AFTER).await;
                }
            }));
        }
        bell
    }

    async fn hear(&self, url: &settings::RedisUrl, channel: &str) -> Result<(), StoreError> {
        let listening = StoreError::redis("listening to the doorbell");
        let client = redis_link::client(url).map_err(listening)?;
        let mut rings = client.get_async_pubsub().await.map_err(StoreError::redis("listening to the doorbell"))?;
        rings.subscribe(channel).await.map_err(StoreError::redis("listening to the doorbell"))?;
        // Whatever was rung while nobody listened.
        self.rings.iter().for_each(|ring| ring.tell(None));
        let mut messages = rings.into_on_message();
        while let Some(message) = messages.next().await {
            let Some((partition, told)) = Reading::told(message.get_payload_bytes()) else { continue };
            if let Some(ring) = self.rings.get(partition) {
                ring.tell(told);
            }
        }
        Ok(())
    }

    /// Waits for a ring, or until it is time to look anyway, or at most so long. Returns what the ring told: all
    /// that the partition's stream held when it was rung. It may come so late that this was settled since, so
    /// whoever acts on it commits [only if it is there](crate::Owned::only_if_there).
    pub async fn wait(&self, partition: Partition, at_most: Option<Duration>) -> Option<Reading> {
        let ring = &self.rings[usize::from(partition.index())];
        let at_most = at_most.map_or(self.look_every, |at_most| at_most.min(self.look_every));
        let _rung_or_time = tokio::time::timeout(at_most, ring.rung.notified()).await;
        ring.take()
    }

    /// Rings from within this process.
    pub fn ring(&self, partition: Partition) {
        self.rings[usize::from(partition.index())].tell(None);
    }
}
