//! Three masters that serve every slot, and go on without one.

use redis::AsyncCommands;
use testkit::{Data, RedisCluster};

#[tokio::test]
async fn three_masters_share_the_slots_and_two_go_on_without_the_third() {
    let mut cluster = RedisCluster::start(3).await;
    let hosts: Vec<_> = cluster.nodes().iter().map(|node| node.addr().to_string()).collect();
    assert_eq!(cluster.url(), format!("redis+cluster://{}/", hosts.join(",")));

    let client = redis::cluster::ClusterClient::new(cluster.node_urls()).unwrap();
    let mut connection = client.get_async_connection().await.unwrap();
    for number in 0..100 {
        let key = format!("{{p{number:02}}}:key");
        let () = connection.set(&key, number).await.unwrap();
        assert_eq!(connection.get::<_, u32>(&key).await.unwrap(), number);
    }
    let mut held = Vec::new();
    for node in cluster.nodes() {
        let keys: u32 = redis::cmd("DBSIZE").query_async(&mut node.connection().await).await.unwrap();
        held.push(keys);
    }
    assert_eq!(held.iter().sum::<u32>(), 100);
    assert!(held.iter().all(|keys| *keys > 0), "{held:?}");

    let mut first = cluster.nodes()[0].connection().await;
    let key: String = redis::cmd("RANDOMKEY").query_async(&mut first).await.unwrap();
    cluster.nodes_mut()[2].kill9();
    assert!(first.get::<_, Option<u32>>(&key).await.unwrap().is_some());

    // A node that lost its data still knows its slots.
    cluster.nodes_mut()[2].restart(Data::Lost).await;
    let slots: String =
        redis::cmd("CLUSTER").arg("INFO").query_async(&mut cluster.nodes()[2].connection().await).await.unwrap();
    assert!(slots.contains("cluster_slots_assigned:16384"), "{slots}");
}
