//! A Redis Cluster of masters on loopback.

use std::time::{Duration, Instant};

use crate::TestkitError;
use crate::server::{Builder, Redis, blocking_connection, on_blocking_thread};

/// Slots of every cluster. Source: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>
const SLOTS: u16 = 16_384;
/// A node waits two seconds before it serves at all; the rest is gossip.
const JOINED_WITHIN: Duration = Duration::from_secs(30);
/// Each answer while setting up.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks at the cluster's state, which only looking can tell.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Masters without replicas that share all slots evenly, each a private server like [`Redis`].
///
/// A slot whose master is down is refused, the others go on (`cluster-require-full-coverage no`).
/// A master is taken for dead two seconds after its last sign of life.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts so many masters, three for a real cluster, and waits until every one serves.
    ///
    /// Takes about three seconds: a fresh node refuses to serve for the first two.
    ///
    /// # Panics
    /// When they cannot be had; the message is that of [`TestkitError`].
    pub async fn start(masters: u16) -> Self {
        on_blocking_thread(move || Self::launch(masters)).await.unwrap_or_else(|error| panic!("{}", error.chain()))
    }

    fn launch(masters: u16) -> Result<Self, TestkitError> {
        assert!((1..=SLOTS).contains(&masters), "a cluster has 1 to {SLOTS} masters");
        let nodes = (0..masters).map(|_| Builder::default().cluster_node().launch()).collect::<Result<_, _>>()?;
        let cluster = Self { nodes };
        cluster.share_slots(masters)?;
        cluster.wait_until_joined()?;
        Ok(cluster)
    }

    fn share_slots(&self, masters: u16) -> Result<(), TestkitError> {
        let first = &self.nodes[0];
        for (node, number) in self.nodes.iter().zip(0..masters) {
            // Distinct epochs from the start, or the nodes spend a second settling who yields.
            run(node, "CLUSTER SET-CONFIG-EPOCH", redis::cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(number + 1))?;
            // ADDSLOTSRANGE would be shorter, and is unknown before Redis 7.
            run(
                node,
                "CLUSTER ADDSLOTS",
                redis::cmd("CLUSTER").arg("ADDSLOTS").arg(slots(number, masters).collect::<Vec<_>>()),
            )?;
        }
        for node in &self.nodes[1..] {
            run(first, "CLUSTER MEET", redis::cmd("CLUSTER").arg("MEET").arg("127.0.0.1").arg(node.addr().port()))?;
        }
        Ok(())
    }

    fn wait_until_joined(&self) -> Result<(), TestkitError> {
        let started = Instant::now();
        for node in &self.nodes {
            loop {
                let info = run(node, "CLUSTER INFO", redis::cmd("CLUSTER").arg("INFO"))?;
                if serves_all(&info, self.nodes.len()) {
                    break;
                }
                if started.elapsed() > JOINED_WITHIN {
                    return Err(TestkitError::NotReady { within: JOINED_WITHIN, last: info });
                }
                std::thread::sleep(LOOK_EVERY);
            }
        }
        Ok(())
    }

    /// `redis+cluster://127.0.0.1:PORT,127.0.0.1:PORT,…/`, as `TRIBUTARY_REDIS_URL` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(|node| node.addr().to_string()).collect();
        format!("redis+cluster://{}/", hosts.join(","))
    }

    /// Each master's own `redis://` address, as the client library takes them.
    #[must_use]
    pub fn node_urls(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::url).collect()
    }

    /// The masters; number 0 has the lowest slots.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The masters, to kill, pause or restart.
    pub fn nodes_mut(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }
}

fn run(node: &Redis, command: &'static str, arguments: &redis::Cmd) -> Result<String, TestkitError> {
    blocking_connection(&node.url(), ANSWER_WITHIN)
        .and_then(|mut connection| arguments.query(&mut connection))
        .map_err(|source| TestkitError::Command { command, source })
}

/// The share of master `number` of `masters`.
fn slots(number: u16, masters: u16) -> std::ops::Range<u16> {
    let until = |number: u16| {
        let slot = u32::from(SLOTS) * u32::from(number) / u32::from(masters);
        u16::try_from(slot).expect("a share of the slots is no more than the slots")
    };
    until(number)..until(number + 1)
}

fn serves_all(info: &str, nodes: usize) -> bool {
    let says = |line: String| info.lines().any(|had| had.trim_end() == line);
    says("cluster_state:ok".to_owned())
        && says(format!("cluster_slots_assigned:{SLOTS}"))
        && says(format!("cluster_known_nodes:{nodes}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_cover_every_slot_once() {
        for masters in [1, 2, 3, 7, 16] {
            let all: Vec<u16> = (0..masters).flat_map(|number| slots(number, masters)).collect();
            assert_eq!(all, (0..SLOTS).collect::<Vec<_>>(), "{masters} masters");
        }
    }

    #[test]
    fn a_node_that_does_not_know_the_others_yet_does_not_serve() {
        let info = "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_known_nodes:3\r\n";
        assert!(serves_all(info, 3));
        assert!(!serves_all(info, 4));
        assert!(!serves_all(&info.replace("ok", "fail"), 3));
        assert!(!serves_all(&info.replace("16384", "5461"), 3));
    }
}
