//! Setting an attribute's recent days to 0 in Exist, to have them written anew.

use std::time::Duration;

use anyhow::{Context, ensure};
use event::{AttributeName, Day, UserId};
use jiff::{Timestamp, tz::TimeZone};
use store::{
    operate,
    user::{AttributeState, Zeroing, document, field},
};

use super::{AskedWrongly, Operator, confirm, say};
use crate::cli::Consent;

/// How long `--wait` waits.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Asks the exist-writer to set the last days of an attribute to 0; what we know of them is sent again after it.
pub(crate) async fn zero(
    operator: &Operator,
    user: &UserId,
    attribute: &AttributeName,
    days: Option<u32>,
    wait: bool,
    consent: Consent,
) -> anyhow::Result<()> {
    let (partition, documents) = operator.user(user).await?;
    ensure!(documents.attributes.contains_key(attribute), "nothing of {user} feeds {attribute}");
    if let Some(AttributeState::Refused { detail }) = documents.attribute_states.get(attribute) {
        anyhow::bail!("Exist does not let us write {attribute} of {user}: {detail}");
    }
    let kept = operator.settings.backfill_days;
    let days = days.unwrap_or(kept);
    if !(1..=kept).contains(&days) {
        return Err(AskedWrongly(format!("{days} days: only 1 to {kept} can be written anew")).into());
    }
    let zone =
        documents.zone_name().with_context(|| format!("the zone of {user} is not known yet; try again in a moment"))?;
    let now_ms = operate::now_ms(&operator.redis).await?;
    let now = i64::try_from(now_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
    let today = Day::at(now, &TimeZone::get(zone).unwrap_or(TimeZone::UTC));
    let first = today.plus(1 - i32::try_from(days).expect("a window is no longer than that"));
    confirm(
        &format!(
            "This sets {attribute} of {user} to 0 in Exist on every day from {first} to {today}, whoever wrote what \
             stands there, and then sends our sums again."
        ),
        consent,
    )?;
    let wish =
        Zeroing { days: (0..).map(|n| first.plus(n)).take_while(|day| *day <= today).collect(), asked_ms: now_ms };
    let asked = (field::zeroing(attribute), document(&wish));
    operate::ask(&operator.redis, &operator.keys, partition, user, &asked).await?;
    if !wait {
        return say(&format!("{attribute} of {user} will be set to 0 from {first} to {today}, and sent again"));
    }
    let through = async {
        while operator.user(user).await?.1.zeroing.contains_key(attribute) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        anyhow::Ok(())
    };
    let waited = tokio::time::timeout(WAIT_MAX, through).await;
    waited.with_context(|| format!("it is not through after {} s; it goes on by itself", WAIT_MAX.as_secs()))??;
    say(&format!("{attribute} of {user} was set to 0 from {first} to {today}; our sums follow"))
}
