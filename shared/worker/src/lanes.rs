//! Whose turn it is: one mailbox per lane, served by deficit round robin.

use std::collections::{HashMap, HashSet, VecDeque};

/// How many items a lane may give in one turn.
const QUANTUM: usize = 8;
/// How many turns a lane may have in one batch. What a batch does to Redis is done at once, while everybody else waits:
/// a lane that is alone gets batches of 16, or others would notice what it has to do.
const TURNS_MAX: usize = 2;

/// Items in lanes: in order within a lane, turn and turn about between lanes.
///
/// Every item costs the same, so the deficit of a lane is what is left of its quantum when a batch is
/// full: it keeps its turn and gives the rest first next time.
#[derive(Debug)]
pub struct Lanes<T> {
    queues: HashMap<String, VecDeque<T>>,
    turns: VecDeque<String>,
    left_of_turn: usize,
    waiting: usize,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { queues: HashMap::new(), turns: VecDeque::new(), left_of_turn: QUANTUM, waiting: 0 }
    }
}

impl<T> Lanes<T> {
    /// Nobody waits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an item at the end of its lane.
    pub fn push(&mut self, lane: &str, item: T) {
        if let Some(queue) = self.queues.get_mut(lane) {
            queue.push_back(item);
        } else {
            self.queues.insert(lane.to_owned(), VecDeque::from([item]));
            self.turns.push_back(lane.to_owned());
        }
        self.waiting += 1;
    }

    /// Puts items back at the heads of their lanes, in the order they were taken; these lanes have their turn
    /// next.
    pub fn put_back(&mut self, items: Vec<(String, T)>) {
        self.waiting += items.len();
        self.left_of_turn = QUANTUM;
        for (lane, item) in items.into_iter().rev() {
            let queue = self.queues.entry(lane.clone()).or_default();
            queue.push_front(item);
            if self.turns.front() != Some(&lane) {
                self.turns.retain(|turn| *turn != lane);
                self.turns.push_front(lane);
            }
        }
    }

    /// How many items wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many items wait in one lane.
    #[must_use]
    pub fn waiting_in(&self, lane: &str) -> usize {
        self.queues.get(lane).map_or(0, VecDeque::len)
    }

    /// Takes up to `limit` items, each lane in its turn and in its order, none more than a few turns' worth.
    pub fn take(&mut self, limit: usize) -> Vec<(String, T)> {
        let mut taken = Vec::with_capacity(limit.min(self.waiting));
        let mut turns_of: HashMap<String, usize> = HashMap::new();
        while taken.len() < limit {
            let Some(lane) = self.turns.front() else { break };
            if turns_of.get(lane).is_some_and(|turns| *turns >= TURNS_MAX) {
                break;
            }
            let queue = self.queues.get_mut(lane).expect("a lane with a turn has a queue");
            let item = queue.pop_front().expect("a lane with a turn has items");
            taken.push((lane.clone(), item));
            self.waiting -= 1;
            self.left_of_turn -= 1;
            if queue.is_empty() {
                let lane = self.turns.pop_front().expect("it was at the front");
                self.queues.remove(&lane);
                self.left_of_turn = QUANTUM;
            } else if self.left_of_turn == 0 {
                *turns_of.entry(lane.clone()).or_default() += 1;
                self.turns.rotate_left(1);
                self.left_of_turn = QUANTUM;
            }
        }
        taken
    }

    /// The items of one lane, in order.
    pub fn waiting_of(&self, lane: &str) -> impl Iterator<Item = &T> {
        self.queues.get(lane).into_iter().flatten()
    }

    /// Takes all items of one lane out of their turn.
    pub fn remove(&mut self, lane: &str) -> VecDeque<T> {
        let Some(queue) = self.queues.remove(lane) else { return VecDeque::new() };
        if self.turns.front().is_some_and(|front| front == lane) {
            self.left_of_turn = QUANTUM;
        }
        self.turns.retain(|turn| turn != lane);
        self.waiting -= queue.len();
        queue
    }

    /// The lanes that have items, in no order.
    #[must_use]
    pub fn lanes(&self) -> HashSet<&str> {
        self.queues.keys().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lane_with_a_thousand_items_does_not_keep_others_from_their_turn() {
        let mut lanes = Lanes::new();
        for item in 0..1000 {
            lanes.push("hot", item);
        }
        lanes.push("quiet", 7);
        let first = lanes.take(2 * QUANTUM);
        assert!(first.contains(&("quiet".to_owned(), 7)), "{first:?}");
    }

    #[test]
    fn a_lane_alone_gets_small_batches_and_many_lanes_get_large_ones() {
        let mut lanes = Lanes::new();
        for item in 0..1000 {
            lanes.push("hot", item);
        }
        assert_eq!(lanes.take(128).len(), QUANTUM * TURNS_MAX);
        for other in 0..100 {
            lanes.push(&format!("other {other}"), other);
        }
        let batch = lanes.take(128);
        assert_eq!(batch.iter().filter(|(lane, _)| lane != "hot").count(), 100);
        assert_eq!(batch.len(), 100 + QUANTUM * TURNS_MAX, "beside others it gets no more than alone");
    }

    proptest! {
        #[test]
        fn order_holds_within_a_lane_and_nothing_is_lost(
            pushes in prop::collection::vec((0u8..5, 1usize..20), 1..60), limit in 1usize..40,
        ) {
            let mut lanes = Lanes::new();
            let (mut pushed, mut taken) = (vec![0usize; 5], vec![0usize; 5]);
            for (lane, times) in pushes {
                for _ in 0..times {
                    lanes.push(&lane.to_string(), pushed[usize::from(lane)]);
                    pushed[usize::from(lane)] += 1;
                }
                // Put back, they come again in the same order.
                let back = lanes.take(limit);
                lanes.put_back(back);
                for (lane, item) in lanes.take(limit) {
                    let lane: usize = lane.parse().unwrap();
                    prop_assert_eq!(item, taken[lane]);
                    taken[lane] += 1;
                }
            }
            while lanes.waiting() > 0 {
                for (lane, item) in lanes.take(limit) {
                    let lane: usize = lane.parse().unwrap();
                    prop_assert_eq!(item, taken[lane]);
                    taken[lane] += 1;
                }
            }
            prop_assert_eq!(pushed, taken);
        }
    }
}
