//! When things happen, and to whom: decided beforehand, whatever the services make of it (an open loop).

use std::time::Duration;

use super::scenario::{Arrivals, Load};
use crate::world::random::Random;

const SECOND_US: f64 = 1e6;

/// How long a burst takes.
const BURST: Duration = Duration::from_secs(1);

/// The moments of a load, in microseconds since the stream began, in order.
pub(crate) fn moments(load: &Load, random: &mut Random) -> Vec<u64> {
    let (from, until) = (micros(load.from), micros(load.from + load.lasts));
    match load.arrivals {
        Arrivals::Constant => {
            let every = SECOND_US / f64::from(load.rate);
            (0..).map(|index| from + whole(f64::from(index) * every)).take_while(|at| *at < until).collect()
        }
        Arrivals::Poisson => by_chance(from, until, random, |_| f64::from(load.rate)),
        Arrivals::Ramp => {
            let (start, end) = (f64::from(load.rate), f64::from(load.to));
            by_chance(from, until, random, |share| start + (end - start) * share)
        }
        Arrivals::Burst => {
            let every = usize::try_from(micros(load.every).max(1)).unwrap_or(usize::MAX);
            let starts = (from..until).step_by(every);
            starts.flat_map(|start| by_chance(start, start + micros(BURST), random, |_| f64::from(load.rate))).collect()
        }
    }
}

/// Independent arrivals at a rate that may depend on the share of the time that has passed: thinned from the highest.
fn by_chance(from: u64, until: u64, random: &mut Random, rate: impl Fn(f64) -> f64) -> Vec<u64> {
    let highest = rate(0.0).max(rate(1.0)).max(f64::MIN_POSITIVE);
    let (mut at, span) = (0.0, as_f64(until - from));
    let mut moments = Vec::new();
    loop {
        at += -unit(random).ln() * SECOND_US / highest;
        if at >= span {
            return moments;
        }
        if unit(random) * highest <= rate(at / span) {
            moments.push(from + whole(at));
        }
    }
}

/// Who does how much: the n-th of them 1 ÷ n to a power.
pub(crate) struct Zipf(Vec<f64>);

impl Zipf {
    pub(crate) fn new(people: u32, hundredths: u32) -> Zipf {
        let power = f64::from(hundredths) / 100.0;
        let mut sum = 0.0;
        let sums = (1..=people).map(|rank| {
            sum += f64::from(rank).powf(-power);
            sum
        });
        Zipf(sums.collect())
    }

    /// One of them, from 0.
    pub(crate) fn pick(&self, random: &mut Random) -> usize {
        let point = unit(random) * self.0.last().copied().unwrap_or(0.0);
        self.0.partition_point(|sum| *sum < point).min(self.0.len().saturating_sub(1))
    }
}

/// Above 0, at most 1.
fn unit(random: &mut Random) -> f64 {
    as_f64((random.next() >> 11) + 1) / as_f64(1 << 53)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "at most 2^53, where every whole number is exact")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a moment of a run, well below 2^53")]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(arrivals: Arrivals, rate: u32, to: u32) -> Load {
        let (from, lasts, every) = (Duration::from_secs(5), Duration::from_secs(20), Duration::from_secs(10));
        Load { arrivals, rate, to, every, from, lasts }
    }

    fn seconds(moments: &[u64], from: u64, until: u64) -> usize {
        moments.iter().filter(|at| (from * 1_000_000..until * 1_000_000).contains(*at)).count()
    }

    #[test]
    fn constant_arrivals_are_even() {
        let moments = moments(&load(Arrivals::Constant, 50, 0), &mut Random::new(1));
        assert_eq!((moments.len(), moments[0], moments[1]), (1000, 5_000_000, 5_020_000));
    }

    #[test]
    fn chance_arrives_as_often_as_asked_and_unevenly() {
        let moments = moments(&load(Arrivals::Poisson, 500, 0), &mut Random::new(1));
        assert!((9_500..10_500).contains(&moments.len()), "{}", moments.len());
        let gaps: std::collections::BTreeSet<u64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.len() > 1_000, "every gap is its own");
    }

    #[test]
    fn a_ramp_ends_with_more_than_it_began_with() {
        let moments = moments(&load(Arrivals::Ramp, 100, 900), &mut Random::new(1));
        let (first, last) = (seconds(&moments, 5, 10), seconds(&moments, 20, 25));
        assert!(first < 1_200 && last > 3_600, "{first} and {last}");
    }

    #[test]
    fn bursts_come_and_go() {
        let moments = moments(&load(Arrivals::Burst, 300, 0), &mut Random::new(1));
        assert!(seconds(&moments, 5, 6) > 200 && seconds(&moments, 15, 16) > 200);
        assert_eq!(seconds(&moments, 6, 15), 0);
    }

    #[test]
    fn the_first_does_twice_as_much_as_the_second_and_nobody_is_left_out() {
        let (zipf, mut random) = (Zipf::new(10, 100), Random::new(1));
        let mut done = [0_u32; 10];
        for _ in 0..30_000 {
            done[zipf.pick(&mut random)] += 1;
        }
        assert!((180..220).contains(&(done[0] * 100 / done[1])), "{done:?}");
        assert!(done[9] > 500, "{done:?}");
    }
}
