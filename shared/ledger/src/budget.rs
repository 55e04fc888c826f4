//! When a user's next request may leave, so that no sliding window ever holds too many.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The share of a window's requests that may leave at once: one in so many.
const BURST_SHARE: u32 = 5;
/// Requests spread by the network may arrive closer together than they left: the window is taken to
/// be longer by this, or by a twentieth of itself if that is less.
const SPREAD_MAX: Duration = Duration::from_secs(10);

/// A budget that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// Fewer than two requests.
    #[error("a budget of {0} requests: at least 2 are needed")]
    Requests(u32),
    /// A window under a second or over a day.
    #[error("a budget window of {0:?}: between 1 s and 1 day")]
    Window(Duration),
}

/// So many requests in any sliding window.
///
/// A burst of a fifth, the rest evenly spaced: 60 + 240 for Exist's 300 an hour. (A burst of the whole
/// budget, as rate limiters usually allow it, would admit 600 in one sliding hour.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    interval_ms: u64,
    burst: u64,
}

/// How much of a budget is spent: the time, in Redis' milliseconds, at which all of it is back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Spent(pub u64);

/// The budget is spent for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// When the next request may leave, in Redis' milliseconds.
    pub until_ms: u64,
}

impl Budget {
    /// # Errors
    /// [`BudgetError`]: fewer than 2 requests, or a window under 1 s or over a day.
    pub fn try_new(requests: u32, window: Duration) -> Result<Self, BudgetError> {
        if requests < 2 {
            return Err(BudgetError::Requests(requests));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&window) {
            return Err(BudgetError::Window(window));
        }
        let burst = (requests / BURST_SHARE).max(1);
        let window = window + (window / 20).min(SPREAD_MAX);
        let spaced = requests - burst;
        let window_ms = u64::try_from(window.as_millis()).expect("at most a day and an hour");
        Ok(Self { interval_ms: window_ms.div_ceil(u64::from(spaced)), burst: u64::from(burst) })
    }

    /// Whether so many requests may leave one right after the other; at most a burst is asked for.
    ///
    /// # Errors
    /// [`Wait`]: not before then.
    pub fn has_room(self, now_ms: u64, spent: Option<Spent>, requests: u32) -> Result<(), Wait> {
        let mut spent = spent;
        for _ in 0..u64::from(requests).min(self.burst) {
            spent = Some(self.take(now_ms, spent)?);
        }
        Ok(())
    }

    /// Takes one request out of the budget.
    ///
    /// # Errors
    /// [`Wait`]: nothing is left before then; nothing was taken.
    pub fn take(self, now_ms: u64, spent: Option<Spent>) -> Result<Spent, Wait> {
        let from = spent.map_or(now_ms, |Spent(at)| at.max(now_ms));
        let after = from + self.interval_ms;
        let allowed_from = after.saturating_sub(self.burst * self.interval_ms);
        if allowed_from > now_ms { Err(Wait { until_ms: allowed_from }) } else { Ok(Spent(after)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sends as early as the budget allows; returns when each request left.
    fn send_greedily(budget: Budget, pauses: &[u64]) -> Vec<u64> {
        let (mut now, mut spent, mut left) = (0, None, Vec::new());
        for pause in pauses {
            now += pause;
            loop {
                match budget.take(now, spent) {
                    Ok(after) => {
                        spent = Some(after);
                        left.push(now);
                        break;
                    }
                    Err(Wait { until_ms }) => now = until_ms,
                }
            }
        }
        left
    }

    fn most_in_any_window(left: &[u64], window_ms: u64) -> usize {
        (0..left.len())
            .map(|i| left[i..].iter().take_while(|&&at| at <= left[i] + window_ms).count())
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn a_burst_of_sixty_then_one_every_fifteen_seconds() {
        let budget = Budget::try_new(300, Duration::from_secs(3600)).unwrap();
        let left = send_greedily(budget, &[0; 62]);
        assert_eq!(left[59], 0);
        assert!((15_000..15_100).contains(&left[60]), "{}", left[60]);
    }

    #[test]
    fn requests_that_belong_together_leave_together_or_wait_together() {
        let budget = Budget::try_new(20, Duration::from_secs(10)).unwrap();
        let mut spent = None;
        for _ in 0..4 {
            spent = Some(budget.take(0, spent).unwrap());
        }
        let Err(Wait { until_ms: one }) = budget.has_room(0, spent, 1) else { panic!("the burst is spent") };
        let Err(Wait { until_ms: two }) = budget.has_room(one, spent, 2) else { panic!("there is room for one only") };
        assert!(two > one && budget.has_room(two, spent, 2).is_ok());
        // More than a burst never leaves at once: it goes as far as it gets.
        assert!(budget.has_room(0, None, 1000).is_ok());
    }

    proptest! {
        #[test]
        fn no_sliding_window_holds_more_than_the_budget(
            requests in 2u32..400, window_s in 1u64..4_000,
            pauses in prop::collection::vec(prop_oneof![4 => Just(0u64), 1 => 0u64..200_000], 1..900),
        ) {
            let budget = Budget::try_new(requests, Duration::from_secs(window_s)).unwrap();
            let left = send_greedily(budget, &pauses);
            prop_assert!(most_in_any_window(&left, window_s * 1000) <= usize::try_from(requests).unwrap());
        }
    }
}
