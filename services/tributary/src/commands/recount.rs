//! Counting a source anew.

use std::time::Duration;

use anyhow::{Context, ensure};
use event::{Day, SourceName, UserId};
use jiff::{Timestamp, tz::TimeZone};
use store::{
    operate,
    user::{RecountAsked, Recounted},
};

use super::{Operator, say};

/// How long `--wait` waits.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Asks for a recount of one source, from the earliest of these days on, or of the whole window.
pub(crate) async fn recount(
    operator: &Operator,
    user: &UserId,
    source: &SourceName,
    days: &[Day],
    wait: bool,
) -> anyhow::Result<()> {
    let (partition, documents) = operator.user(user).await?;
    let connection = documents.sources.get(source).with_context(|| format!("{user} has no connection to {source}"))?;
    ensure!(connection.connected.is_on(), "the connection of {user} to {source} is off: connect it again first");
    let zone =
        documents.zone_name().with_context(|| format!("the zone of {user} is not known yet; try again in a moment"))?;
    let today = Day::at(Timestamp::now(), &TimeZone::get(zone).unwrap_or(TimeZone::UTC));
    let first = today.plus(-i32::try_from(operator.settings.backfill_days).unwrap_or(0));
    if let Some(beyond) = days.iter().find(|day| **day < first || **day > today.next()) {
        anyhow::bail!("{beyond} is not one of the days that are kept: {first} to {}", today.next());
    }
    let from = days.iter().min().copied();
    let why = "an operator asked for it".to_owned();
    let before = documents.recounted.get(source).map_or(0, Recounted::latest);
    let (redis, keys) = (&operator.redis, &operator.keys);
    operate::recount(redis, keys, partition, user, source, &RecountAsked { from, why }).await?;
    let from = from.unwrap_or(first);
    if !wait {
        return say(&format!("{source} of {user} will be counted anew from {from} on"));
    }
    let through = async {
        loop {
            let (_, documents) = operator.user(user).await?;
            let recounted = documents.recounted.get(source);
            let is_through = recounted.is_some_and(|recounted| recounted.latest() > before && !recounted.under_way);
            if is_through && !documents.recounting.contains_key(source) {
                return anyhow::Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let waited = tokio::time::timeout(WAIT_MAX, through).await;
    waited.with_context(|| format!("it is not through after {} s; it goes on by itself", WAIT_MAX.as_secs()))??;
    say(&format!("{source} of {user} was counted anew from {from} on"))
}
