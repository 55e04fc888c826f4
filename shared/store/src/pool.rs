//! Connections for a service that reads much for many, so that a slow answer does not hold up a fast one.

use std::{ops::Deref, time::Duration};

use deadpool_redis::{Manager, PoolConfig, Runtime, Timeouts};
use settings::RedisUrl;
use telemetry::{Histogram, histogram};
use tokio::time::Instant;

use crate::{
    Redis, StoreError,
    redis_link::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT, connection_info},
};

/// Most connections a pool has.
pub const POOL_MAX: usize = 8;
/// How long a connection is waited for.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// A pool of connections to one server. To a cluster it is one shared connection: `deadpool`'s own for a
/// cluster cannot be given timeouts.
#[derive(Clone)]
pub struct Pool {
    link: Link,
    url: RedisUrl,
    waited: Histogram,
}

#[derive(Clone)]
enum Link {
    Single(deadpool_redis::Pool),
    Cluster(Redis),
}

/// A connection out of a pool; dropping it gives it back.
pub struct Pooled {
    redis: Redis,
    _place: Option<deadpool_redis::Connection>,
}

impl Deref for Pooled {
    type Target = Redis;

    fn deref(&self) -> &Redis {
        &self.redis
    }
}

impl Pool {
    /// Makes a pool for a service; connects to a cluster at once, and to one server when somebody asks.
    ///
    /// # Errors
    /// [`StoreError::Connect`]: the address cannot be used, or the cluster does not answer.
    pub async fn connect(url: &RedisUrl, service: &'static str) -> Result<Self, StoreError> {
        let link = match url {
            RedisUrl::Cluster { .. } => Link::Cluster(Redis::connect(url).await?),
            RedisUrl::Single { .. } => {
                let config = redis::AsyncConnectionConfig::new()
                    .set_response_timeout(Some(RESPONSE_TIMEOUT))
                    .set_connection_timeout(Some(CONNECT_TIMEOUT));
                let manager = connection_info(url).and_then(|info| Manager::new_with_config(info, config));
                let manager = manager.map_err(|source| StoreError::Connect { address: url.to_string(), source })?;
                let timeouts =
                    Timeouts { wait: Some(WAIT_MAX), create: Some(CONNECT_TIMEOUT), recycle: Some(RESPONSE_TIMEOUT) };
                let config = PoolConfig { max_size: POOL_MAX, timeouts, ..PoolConfig::default() };
                let pool = deadpool_redis::Pool::builder(manager).config(config).runtime(Runtime::Tokio1);
                Link::Single(pool.build().expect("a runtime is given, for the timeouts"))
            }
        };
        Ok(Self { link, url: url.clone(), waited: histogram!(REDIS_POOL_WAIT_SECONDS, service = service) })
    }

    /// Takes a connection, after asking it whether it still works: take one for a whole answer, not for a command.
    ///
    /// # Errors
    /// [`StoreError::Pool`]: none was free within two seconds, or Redis cannot be reached.
    pub async fn get(&self) -> Result<Pooled, StoreError> {
        let begun = Instant::now();
        let taken = match &self.link {
            Link::Cluster(redis) => Pooled { redis: redis.clone(), _place: None },
            Link::Single(pool) => {
                let place = pool.get().await.map_err(|source| StoreError::Pool { source })?;
                Pooled { redis: Redis::pooled((*place).clone(), self.url.clone()), _place: Some(place) }
            }
        };
        self.waited.record(begun.elapsed().as_secs_f64());
        Ok(taken)
    }
}
