//! Connections with timeouts, from a runtime and from a thread that may block.

use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

/// Long enough for a machine under load, short enough for a test that waits in vain.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A new connection to any `redis://`, `rediss://` or `redis+unix://` address.
///
/// Waits at most ten seconds for the connection and for each answer, so blocking reads must be
/// shorter than that.
///
/// # Panics
/// When the address is none, or nobody answers there.
pub async fn connect(url: &str) -> MultiplexedConnection {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWER_WITHIN))
        .set_response_timeout(Some(ANSWER_WITHIN));
    let client = redis::Client::open(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .unwrap_or_else(|error| panic!("connecting to {url}: {error}"))
}

/// A connection for setting a server up, each answer within `within`.
pub(crate) fn blocking_connection(url: &str, within: Duration) -> redis::RedisResult<redis::Connection> {
    let connection = redis::Client::open(url)?.get_connection_with_timeout(within)?;
    connection.set_read_timeout(Some(within))?;
    connection.set_write_timeout(Some(within))?;
    Ok(connection)
}

/// Runs blocking work beside the runtime, so that other tasks go on and a paused clock stands
/// still meanwhile.
pub(crate) async fn on_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
