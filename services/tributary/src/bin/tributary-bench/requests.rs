//! How many requests Exist gets for what changed, beside the least that its limit of values lets anybody send.

use std::time::Duration;

use loadtest::exist::Endpoint;

use crate::{crowd::Crowd, people::ATTRIBUTES, stand::Stand, workers::Workers};

/// Exist's limit for one request.
const VALUES_MAX: u64 = 35;
/// How many days of each person change in a round; three attributes each. From one page's worth to several requests.
const DAYS_CHANGED: [usize; 5] = [1, 4, 12, 20, 28];
/// Flush windows that are counted.
const ROUNDS: usize = 3;
/// People in a round, evenly spread over the shapes.
const PEOPLE_MAX: usize = 100;
/// A round's records arrive in so many appends, spread over less than a flush window.
const APPENDS: usize = 4;
const APPEND_EVERY: Duration = Duration::from_millis(200);

/// What was sent, and what had to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Requests {
    /// Pairs of attribute and day that changed, over all rounds.
    pub(crate) pairs: u64,
    /// Requests that carried values.
    pub(crate) writes: u64,
    /// Requests of any kind.
    pub(crate) all: u64,
    /// The sum of each person's changed pairs over 35, rounded up, in each flush window.
    pub(crate) least: u64,
}

/// Changes days of many people, and counts what reaches Exist until it holds them all.
pub(crate) async fn measure(stand: &Stand, crowd: &Crowd) -> anyhow::Result<Requests> {
    let workers = Workers::start(stand, 1).await?;
    let people = crowd.people().len().min(PEOPLE_MAX);
    // Whatever is asked once for each person is not a matter of what changed.
    let appended = crowd.append_days(stand, people, |_| 0..1).await?;
    stand.until_settled(crowd.total(appended)).await?;

    let before = stand.exist_log().len();
    let mut counted = Requests::default();
    for _ in 0..ROUNDS {
        for part in 0..APPENDS {
            let days = |person: usize| share(DAYS_CHANGED[person % DAYS_CHANGED.len()], part);
            let appended = crowd.append_days(stand, people, days).await?;
            if part + 1 < APPENDS {
                tokio::time::sleep(APPEND_EVERY).await;
            } else {
                stand.until_settled(crowd.total(appended)).await?;
            }
        }
        for person in 0..people {
            let pairs = DAYS_CHANGED[person % DAYS_CHANGED.len()] * ATTRIBUTES.len();
            let pairs = u64::try_from(pairs).unwrap_or(u64::MAX);
            counted.pairs += pairs;
            counted.least += pairs.div_ceil(VALUES_MAX);
        }
    }
    workers.stop().await?;
    for request in &stand.exist_log()[before..] {
        counted.all += 1;
        counted.writes += u64::from(matches!(request.endpoint, Some(Endpoint::Update | Endpoint::Increment)));
    }
    Ok(counted)
}

/// The fewest pairs that a person changes in a round.
pub(crate) fn fewest() -> usize {
    DAYS_CHANGED[0] * ATTRIBUTES.len()
}

/// The most.
pub(crate) fn most() -> usize {
    DAYS_CHANGED[DAYS_CHANGED.len() - 1] * ATTRIBUTES.len()
}

/// The days of one append: all of them are in exactly one of the parts.
fn share(days: usize, part: usize) -> std::ops::Range<usize> {
    days * part / APPENDS..days * (part + 1) / APPENDS
}
