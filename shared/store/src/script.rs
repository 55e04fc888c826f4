//! A Lua script with the name it is measured under.

use std::{future::Future, ops::Deref};

use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, Script, ServerErrorKind, Value};
use telemetry::{Histogram, histogram};
use tokio::time::Instant;

use crate::Redis;

/// The scripts that compare epochs, by the names that `tributary_fenced_total` gives them.
pub const FENCING_SCRIPTS: [&str; 4] = ["fenced/commit", "generation/look", "lease/release", "lease/renew"];

/// A script. Its name is its place in `lua/`, without the ending.
pub(crate) struct NamedScript {
    script: Script,
    took: Histogram,
}

impl NamedScript {
    pub(crate) fn new(name: &'static str, code: &str) -> Self {
        Self { script: Script::new(code), took: histogram!(SCRIPT_SECONDS, script = name) }
    }

    /// A call with these keys, to which arguments are added: one buffer, however many they are.
    pub(crate) fn call<'a>(&self, keys: impl Iterator<Item = &'a str>) -> Cmd {
        let keys: Vec<&str> = keys.collect();
        let mut call = redis::cmd("EVALSHA");
        call.arg(self.script.get_hash()).arg(keys.len()).arg(keys);
        call
    }

    /// Runs a call, after teaching Redis the script if it does not know it, and measures how long it takes.
    pub(crate) async fn run<T: FromRedisValue>(&self, redis: &Redis, call: &Cmd) -> RedisResult<T> {
        let mut redis = redis.clone();
        self.timed(async {
            match call.query_async(&mut redis).await {
                Err(error) if is_unknown(&error) => {
                    self.script.load_async(&mut redis).await?;
                    call.query_async(&mut redis).await
                }
                answer => answer,
            }
        })
        .await
    }

    /// Likewise, and a command behind it: both are on their way at once, and Redis gets them in this order, which
    /// calls of their own would not promise.
    pub(crate) async fn run_before<T: FromRedisValue, U: FromRedisValue>(
        &self,
        redis: &Redis,
        call: Cmd,
        then: Cmd,
    ) -> RedisResult<(T, U)> {
        let mut redis = redis.clone();
        let mut both = redis::pipe();
        both.add_command(call).add_command(then).ignore_errors();
        self.timed(async {
            let mut answers: Vec<RedisResult<Value>> = both.query_async(&mut redis).await?;
            if matches!(answers.first(), Some(Err(error)) if is_unknown(error)) {
                self.script.load_async(&mut redis).await?;
                answers = both.query_async(&mut redis).await?;
            }
            let mut answers = answers.into_iter();
            let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
            Ok((T::from_redis_value(next()?)?, U::from_redis_value(next()?)?))
        })
        .await
    }

    /// Waits for a call of this script, and measures how long it takes.
    pub(crate) async fn timed<T>(&self, call: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let answer = call.await;
        self.took.record(begun.elapsed().as_secs_f64());
        answer
    }
}

/// Whether Redis does not know the script.
fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

impl Deref for NamedScript {
    type Target = Script;

    fn deref(&self) -> &Script {
        &self.script
    }
}
