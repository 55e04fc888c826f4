//! What looks tell, beside what was put there.

use std::{collections::BTreeMap, time::Duration};

use event::Reason;
use store::{Bounds, Memory, Stage, letters_behind, take};
use testkit::RedisCluster;

use crate::stand::{RETENTION, Stand, user};

const FEW: Bounds = Bounds { lanes: 100, polls: 100, users: 2, letters: 2 };

#[tokio::test]
async fn a_walk_of_several_looks_tells_what_one_look_at_everything_tells() {
    let server = testkit::Redis::start().await;
    let stand = Stand::on(&server.url(), 1).await;
    let names: Vec<String> = (0..7).map(|number| format!("user-{number}")).collect();
    for name in &names {
        stand.person(name).await;
    }
    let partition = stand.partitions.get_partition(0).unwrap();
    let owned = stand.owned(Stage::Write, partition).await;
    for name in &names[3..6] {
        stand.trouble(&owned, name).await;
    }
    let everything = stand.look(Bounds::EVERYTHING, &mut Memory::default()).await;
    let people = &everything.partitions[0].people;
    let connections = BTreeMap::from([(("exist".to_owned(), false), 7), (("toggl".to_owned(), true), 7)]);
    assert_eq!((&people.connections, people.limited, people.undecided), (&connections, 3, 6));

    let mut memory = Memory::default();
    let told = |look: &store::Look| {
        let people = &look.partitions[0].people;
        (people.connections.clone(), people.limited, people.undecided)
    };
    let first = stand.look(FEW, &mut memory).await;
    assert_eq!(first.partitions[0].people.connections.values().sum::<u64>(), 4, "two users so far");
    for _ in 0..3 {
        stand.look(FEW, &mut memory).await;
    }
    // Seven users are four looks; whatever is half-way through is not told.
    for _ in 0..6 {
        assert_eq!(told(&stand.look(FEW, &mut memory).await), (connections.clone(), 3, 6));
    }
    assert_eq!(everything.partitions[0].users_due, 7);
}

#[tokio::test]
async fn lanes_that_wait_are_told_from_those_that_could_go_on() {
    let server = testkit::Redis::start().await;
    let stand = Stand::on(&server.url(), 2).await;
    let owned = stand.owned(Stage::Normalise, stand.partitions.get_partition(1).unwrap()).await;
    stand.overflow(&owned, "parked", &[500_000, 400_000]).await;
    stand.overflow(&owned, "ready", &[300_000]).await;
    stand.overflow(&owned, "was parked", &[200_000]).await;
    let mut commit = store::Commit::new();
    owned.park_lane(&mut commit, "parked", Duration::from_secs(600));
    owned.park_lane(&mut commit, "was parked", Duration::ZERO);
    owned.commit(commit).await.unwrap();
    let look = stand.look(FEW, &mut Memory::default()).await;
    let (other, waiting) = (&look.partitions[0].raw, &look.partitions[1].raw);
    assert_eq!((other.backlog, other.oldest), (0, None));
    assert_eq!((waiting.backlog, waiting.parked, waiting.locked), (4, 2, 0));
    assert_eq!(waiting.oldest.unwrap().as_secs() / 100, 5);
    assert_eq!(waiting.oldest_runnable.unwrap().as_secs() / 100, 3);
    assert!(look.partitions[1].leases[1].owner.is_some() && look.partitions[1].leases[2].owner.is_none());
}

#[tokio::test]
async fn dead_letters_are_counted_by_cause_as_they_come_and_go() {
    let server = testkit::Redis::start().await;
    let stand = Stand::on(&server.url(), 1).await;
    let owned = stand.owned(Stage::Normalise, stand.partitions.get_partition(0).unwrap()).await;
    let mut memory = Memory::default();
    let mut letters = Vec::new();
    for number in 0..5 {
        let cause = if number == 4 { Reason::Poison } else { Reason::Malformed };
        letters.push(stand.bury(&owned, number, cause).await);
    }
    let normalise = |class| ("normalise".to_owned(), class);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let look = stand.look(FEW, &mut memory).await;
        assert_eq!(look.partitions[0].dead_letters, 5, "how many there are is known at once");
        seen.push(look.partitions[0].dead_by_cause.values().sum::<u64>());
    }
    assert_eq!(seen, [2, 4, 5, 5], "each look reads two more");
    let look = stand.look(FEW, &mut memory).await;
    assert_eq!(
        look.partitions[0].dead_by_cause,
        BTreeMap::from([(normalise("permanent"), 4), (normalise("poison"), 1)])
    );
    // One goes and another comes between two looks: their number is the same.
    take(&stand.redis, &stand.keys, crate::stand::question(FEW).buckets, &letters[0]).await.unwrap();
    stand.bury(&owned, 9, Reason::Poison).await;
    let look = stand.look(FEW, &mut memory).await;
    assert_eq!(
        look.partitions[0].dead_by_cause,
        BTreeMap::from([(normalise("permanent"), 3), (normalise("poison"), 2)])
    );
}

#[tokio::test]
async fn letters_come_in_order_behind_the_last_and_say_whether_more_follow() {
    let server = testkit::Redis::start().await;
    let stand = Stand::on(&server.url(), 1).await;
    let partition = stand.partitions.get_partition(0).unwrap();
    let owned = stand.owned(Stage::Normalise, partition).await;
    let mut buried = Vec::new();
    for number in 0..5 {
        buried.push(stand.bury(&owned, number, Reason::Malformed).await.transaction);
    }
    buried.sort();
    let buckets = ledger::Buckets::new(RETENTION);
    let (mut found, mut behind, mut pages) = (Vec::new(), None, 0);
    loop {
        let (letters, more) = letters_behind(&stand.redis, &stand.keys, partition, buckets, behind, 2).await.unwrap();
        assert!(letters.len() <= 2);
        found.extend(letters.iter().map(|letter| letter.transaction));
        pages += 1;
        behind = more;
        if more.is_none() {
            break;
        }
    }
    assert_eq!((found, pages), (buried, 3));
}

#[tokio::test]
async fn a_cluster_is_looked_at_like_one_server() {
    let cluster = RedisCluster::start(3).await;
    let stand = Stand::on(&cluster.url(), 16).await;
    for name in ["alice", "bob", "carol"] {
        stand.person(name).await;
    }
    let home = stand.partitions.of(&user("alice"));
    let owned = stand.owned(Stage::Write, home).await;
    stand.trouble(&owned, "alice").await;
    stand.overflow(&owned, "alice", &[5_000, 1_000]).await;
    stand.bury(&owned, 1, Reason::Poison).await;
    let look = stand.look(FEW, &mut Memory::default()).await;
    assert_eq!(look.partitions.len(), 16);
    let at = &look.partitions[usize::from(home.index())];
    assert_eq!((at.normalised.backlog, at.dead_letters, at.people.limited, at.people.undecided), (2, 1, 1, 2));
    assert_eq!(at.dead_by_cause, BTreeMap::from([(("write".to_owned(), "poison"), 1)]));
    let connections = look.partitions.iter().flat_map(|partition| partition.people.connections.values()).sum::<u64>();
    assert_eq!(connections, 6);
    assert!(look.memory.is_some());
}
