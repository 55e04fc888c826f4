//! The connection to Redis: one server or a cluster, one command interface.

use std::time::Duration;

use redis::{
    Cmd, Pipeline, RedisFuture, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
};
use settings::{ExposeSecret, RedisUrl};

use crate::StoreError;

/// How long one answer may take. Without it a call to a dead shard hangs for over a minute.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long connecting may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a call to a cluster may take with all its retries.
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(8);
/// Longest wait between two attempts to connect again.
const RECONNECT_DELAY_MAX: Duration = Duration::from_millis(500);

/// A shared, reconnecting connection. Cloning it shares it.
///
/// Never blocks on the server: nothing here waits for an entry (see [`crate::Bell`]).
#[derive(Clone)]
pub struct Redis {
    link: Link,
    url: RedisUrl,
}

#[derive(Clone)]
enum Link {
    Single(ConnectionManager),
    /// One of a [`crate::Pool`].
    Pooled(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Redis {
    /// Connects.
    ///
    /// # Errors
    /// [`StoreError::Connect`]: nobody answers there, or not to these credentials.
    pub async fn connect(url: &RedisUrl) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Connect { address: url.to_string(), source };
        let link = match url {
            RedisUrl::Single { .. } => {
                let config = ConnectionManagerConfig::new()
                    .set_response_timeout(Some(RESPONSE_TIMEOUT))
                    .set_connection_timeout(Some(CONNECT_TIMEOUT))
                    // One attempt for each call: a call must not hang for the whole of an outage.
                    .set_number_of_retries(1)
                    .set_max_delay(RECONNECT_DELAY_MAX);
                let client = client(url).map_err(failed)?;
                Link::Single(ConnectionManager::new_with_config(client, config).await.map_err(failed)?)
            }
            RedisUrl::Cluster { urls } => {
                let client = ClusterClient::builder(urls.iter().map(|url| url.expose_secret().to_owned()))
                    .response_timeout(RESPONSE_TIMEOUT)
                    .overall_response_timeout(Some(CLUSTER_TIMEOUT))
                    .connection_timeout(CONNECT_TIMEOUT)
                    .retries(6)
                    .min_retry_wait(50)
                    .max_retry_wait(1000)
                    .build()
                    .map_err(failed)?;
                Link::Cluster(client.get_async_connection().await.map_err(failed)?)
            }
        };
        Ok(Self { link, url: url.clone() })
    }

    /// One connection of a pool.
    pub(crate) const fn pooled(link: MultiplexedConnection, url: RedisUrl) -> Self {
        Self { link: Link::Pooled(link), url }
    }

    /// Whether this is a cluster, where a channel is heard by every node and rings are not used.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        matches!(self.link, Link::Cluster(_))
    }

    /// Where it is connected to.
    #[must_use]
    pub const fn url(&self) -> &RedisUrl {
        &self.url
    }

    /// Runs one command.
    pub(crate) async fn run<T: redis::FromRedisValue>(
        &self,
        doing: &'static str,
        command: &Cmd,
    ) -> Result<T, StoreError> {
        command.query_async(&mut self.clone()).await.map_err(StoreError::redis(doing))
    }

    /// Runs several commands of one slot.
    pub(crate) async fn run_all<T: redis::FromRedisValue>(
        &self,
        doing: &'static str,
        pipeline: &Pipeline,
    ) -> Result<T, StoreError> {
        pipeline.query_async(&mut self.clone()).await.map_err(StoreError::redis(doing))
    }
}

/// A client for one server.
pub(crate) fn client(url: &RedisUrl) -> redis::RedisResult<redis::Client> {
    redis::Client::open(connection_info(url)?)
}

/// How one server is reached, with Nagle's algorithm off: we send small commands and wait for each answer.
pub(crate) fn connection_info(url: &RedisUrl) -> redis::RedisResult<redis::ConnectionInfo> {
    let RedisUrl::Single { url } = url else {
        return Err((redis::ErrorKind::InvalidClientConfig, "not a single server").into());
    };
    let info = redis::IntoConnectionInfo::into_connection_info(url.expose_secret())?;
    let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
    Ok(info.set_tcp_settings(tcp))
}

impl ConnectionLike for Redis {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.link {
            Link::Single(link) => link.req_packed_command(command),
            Link::Pooled(link) => link.req_packed_command(command),
            Link::Cluster(link) => link.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.link {
            Link::Single(link) => link.req_packed_commands(pipeline, offset, count),
            Link::Pooled(link) => link.req_packed_commands(pipeline, offset, count),
            Link::Cluster(link) => link.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.link {
            Link::Single(link) => link.get_db(),
            Link::Pooled(link) => link.get_db(),
            Link::Cluster(link) => link.get_db(),
        }
    }
}
