//! Who should own what: rendezvous preference, and how a process gets there without a leader.

use std::{collections::BTreeSet, time::Duration};

use event::Partition;
use store::LeaseView;
use xxhash_rust::xxh3::xxh3_64;

/// A partition that nobody has held for so long is taken by whoever sees it, preferred or not.
const ANYBODY_AFTER: Duration = Duration::from_secs(2);
/// Of what others prefer, at most one in so many is given up at a time (twice a second).
const GIVE_UP_SHARE: usize = 20;

/// What to do next about ownership.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moves {
    /// Try to take these.
    pub acquire: Vec<Partition>,
    /// Drain and give up these.
    pub give_up: Vec<Partition>,
}

/// The member that a partition prefers: the same answer in every process, and when a member comes or
/// goes only its own partitions move.
#[must_use]
pub fn preferred(members: &[String], partition: Partition) -> Option<&str> {
    let weight = |member: &String| xxh3_64(format!("{member}/{partition}").as_bytes());
    members.iter().map(|member| (weight(member), member.as_str())).max().map(|(_, member)| member)
}

/// What a member does, given who is there, how the leases look and what it owns.
#[must_use]
pub fn moves(me: &str, members: &[String], leases: &[(Partition, LeaseView)], owned: &BTreeSet<Partition>) -> Moves {
    let mut moves = Moves::default();
    let give_up_max = (owned.len() / GIVE_UP_SHARE).max(1);
    for (partition, lease) in leases {
        let mine = preferred(members, *partition).is_none_or(|member| member == me);
        if owned.contains(partition) {
            if !mine && moves.give_up.len() < give_up_max {
                moves.give_up.push(*partition);
            }
        } else if lease.owner.is_none() && (mine || lease.free_for >= ANYBODY_AFTER) {
            moves.acquire.push(*partition);
        }
    }
    moves
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use event::PartitionCount;
    use proptest::prelude::*;

    use super::*;

    fn all() -> Vec<Partition> {
        PartitionCount::try_new(64).unwrap().all().collect()
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("pod-{number}")).collect()
    }

    /// Rounds until nothing moves: each round every member acts once on what all see.
    fn settle(members: &[String], owners: &mut BTreeMap<Partition, String>) -> usize {
        let mut moved = 0;
        for _ in 0..200 {
            let mut quiet = true;
            for me in members {
                let view = |partition| {
                    let owner = owners.get(&partition).cloned();
                    (partition, LeaseView { owner, epoch: 1, free_for: Duration::ZERO })
                };
                let leases: Vec<_> = all().into_iter().map(view).collect();
                let owned = owners.iter().filter(|(_, owner)| *owner == me).map(|(partition, _)| *partition).collect();
                let moves = moves(me, members, &leases, &owned);
                quiet &= moves == Moves::default();
                for partition in moves.acquire {
                    owners.insert(partition, me.clone());
                    moved += 1;
                }
                for partition in moves.give_up {
                    owners.remove(&partition);
                }
            }
            if quiet {
                break;
            }
        }
        moved
    }

    #[test]
    fn a_partition_free_for_long_is_taken_by_anybody() {
        let members = names(2);
        let partition = all()[0];
        let other = if preferred(&members, partition) == Some("pod-0") { "pod-1" } else { "pod-0" };
        let free = |free_for| vec![(partition, LeaseView { owner: None, epoch: 3, free_for })];
        let owned = BTreeSet::new();
        assert!(moves(other, &members, &free(Duration::from_millis(1500)), &owned).acquire.is_empty());
        assert_eq!(moves(other, &members, &free(Duration::from_secs(2)), &owned).acquire, [partition]);
    }

    proptest! {
        /// Members come and go: everything ends owned, and moves stay within twice the necessary.
        #[test]
        fn members_share_everything_and_move_little(before in 1usize..8, after in 1usize..8) {
            let mut owners = BTreeMap::new();
            settle(&names(before), &mut owners);
            prop_assert_eq!(owners.len(), 64);
            let left = names(after);
            owners.retain(|_, owner| left.contains(owner));
            let free = 64 - owners.len();
            let leaving = owners.iter().filter(|(partition, owner)| preferred(&left, **partition) != Some(owner)).count();
            let moved = settle(&left, &mut owners);
            prop_assert_eq!(owners.len(), 64);
            prop_assert!(moved <= 2 * (free + leaving), "{} moves for {} free and {} leaving", moved, free, leaving);
            for (partition, owner) in &owners {
                prop_assert_eq!(preferred(&left, *partition), Some(owner.as_str()));
            }
        }
    }
}
