//! What one look asks of Redis, counted by Redis.

use event::Reason;
use store::{Bounds, Memory, Stage};

use crate::stand::Stand;

const PARTITIONS: u16 = 4;
/// Small, so that everything can be more than they allow.
const BOUNDS: Bounds = Bounds { lanes: 5, polls: 5, users: 3, letters: 2 };
/// What each partition is asked: leases, polls, due users, counters, pauses, eight buckets of dead letters, two
/// streams with three questions each, three stages' key locks, and its users' names.
const FIXED: u64 = 3 + 1 + 1 + 1 + 1 + 8 + 2 * 3 + 3 + 1;
/// The clock, before the look and before the locks of each stage, and Redis' memory.
const ONCE: u64 = 1 + 3 + 1;
/// For each user: documents, whether due, how sending goes, and what Exist holds in the periods of the back-fill.
const FOR_A_USER: u64 = 3 + 4;
/// For some users: the partition's revision and pauses.
const FOR_USERS: u64 = 2;

async fn commands(server: &testkit::Redis) -> u64 {
    let info: String = redis::cmd("INFO").arg("stats").query_async(&mut server.connection().await).await.unwrap();
    let count = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).unwrap();
    count.trim().parse().unwrap()
}

/// How many commands so many looks take, without those that asked for the count.
async fn cost(server: &testkit::Redis, stand: &Stand, memory: &mut Memory) -> u64 {
    // What asking itself costs: its connection says hello.
    let (before, between) = (commands(server).await, commands(server).await);
    stand.look(BOUNDS, memory).await;
    commands(server).await - between - (between - before)
}

#[tokio::test]
async fn a_look_at_nothing_costs_the_same_few_commands_for_each_partition() {
    let server = testkit::Redis::start().await;
    let stand = Stand::on(&server.url(), PARTITIONS).await;
    let cost = cost(&server, &stand, &mut Memory::default()).await;
    assert_eq!(cost, ONCE + FIXED * u64::from(PARTITIONS));
}

#[tokio::test]
async fn a_look_costs_no_more_than_its_bounds_however_much_there_is() {
    let server = testkit::Redis::start().await;
    let stand = Stand::on(&server.url(), 1).await;
    let mut names = Vec::new();
    for number in 0..20 {
        names.push(format!("user-{number}"));
        stand.person(&names[number]).await;
    }
    let partition = stand.partitions.get_partition(0).unwrap();
    for stage in [Stage::Normalise, Stage::Write] {
        let owned = stand.owned(stage, partition).await;
        for name in &names {
            stand.overflow(&owned, name, &[1, 2, 3]).await;
        }
        for number in 0..10 {
            stand.bury(&owned, number, Reason::Malformed).await;
        }
    }
    let lanes = 2 * 3 * u64::try_from(BOUNDS.lanes).unwrap();
    let users = FOR_USERS + FOR_A_USER * u64::try_from(BOUNDS.users).unwrap();
    let letters = 2;
    let most = ONCE + FIXED + lanes + users + letters;
    let mut memory = Memory::default();
    // The first look of a walk through the users asks for their names.
    assert_eq!(cost(&server, &stand, &mut memory).await, most);
    for _ in 0..12 {
        let next = cost(&server, &stand, &mut memory).await;
        assert!((most - 8..=most).contains(&next), "{next} of {most}");
    }
}
