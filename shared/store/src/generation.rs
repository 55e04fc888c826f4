//! Whether Redis may have lost data: every run of a server has an id, and a partition remembers the one that
//! its data was last known to be whole under.
//!
//! A server that comes back, or a replica that takes over, has another id. What it holds then is what stood
//! there at some moment before: a log cut off, never a mixture. Our own books agree with each other; Exist and
//! the webhooks that were answered may be ahead of them.

use std::sync::LazyLock;

use crate::{Commit, Owned, StoreError, script::NamedScript};

static LOOK: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("generation/look", include_str!("../lua/generation/look.lua")));

/// Which run of Redis holds a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// The id of this run.
    pub run: String,
    /// The run that the data was last known to be whole under; `None` if it was never noted, or is lost.
    pub marked: Option<String>,
}

impl Generation {
    /// Whether nothing can have been lost since it was last noted.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.marked.as_deref() == Some(self.run.as_str())
    }
}

impl Owned {
    /// Looks which run of Redis this is, and remembers it with the lease.
    ///
    /// # Errors
    /// [`StoreError::Fenced`]: the partition is somebody else's. [`StoreError::Redis`]: no answer.
    pub async fn look_at_redis(&self) -> Result<Generation, StoreError> {
        let key = self.keys.generation(self.partition());
        let mut call = LOOK.key(self.lease.key());
        call.key(key).arg(self.lease.epoch()).arg(self.stage().as_str());
        let (verdict, run, marked): (String, String, String) = LOOK
            .timed(call.invoke_async(&mut self.redis.clone()))
            .await
            .map_err(StoreError::redis("looking which Redis it is"))?;
        if verdict == "fenced" {
            return Err(self.lease.fenced("generation/look"));
        }
        let marked = if verdict == "same" { Some(run.clone()) } else { Some(marked).filter(|run| !run.is_empty()) };
        Ok(Generation { run, marked })
    }

    /// Whatever may have been lost before this run is dealt with: notes that the data is whole under it.
    pub fn note_whole(&self, commit: &mut Commit, generation: &Generation) {
        let key = self.keys.generation(self.partition());
        commit.set(&key, self.stage().as_str(), generation.run.as_bytes());
    }

    /// Makes sure that this is still the run that the data was last known to be whole under.
    ///
    /// # Errors
    /// [`StoreError::Restarted`]: it is not; drop what is in hand and read anew. Others as
    /// [`Owned::look_at_redis`].
    pub async fn is_same_redis(&self) -> Result<(), StoreError> {
        if self.look_at_redis().await?.is_whole() {
            return Ok(());
        }
        Err(StoreError::Restarted { partition: self.partition() })
    }
}
