//! What the proxy's faults look like from both ends.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use testkit::{Direction, Faults, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A client and a server with the proxy between them.
async fn pair() -> (Proxy, TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await;
    let client = TcpStream::connect(proxy.addr()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (proxy, listener, client, server)
}

async fn receive(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

/// Whether a reset is what comes next.
async fn is_reset(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 16]).await {
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
        Ok(_) => false,
    }
}

#[tokio::test]
async fn without_faults_bytes_and_ends_pass_both_ways() {
    let (proxy, _listener, mut client, mut server) = pair().await;
    let large: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    let (_, there) =
        tokio::join!(async { client.write_all(&large).await.unwrap() }, receive(&mut server, large.len()),);
    assert!(there == large);
    server.write_all(b"answer").await.unwrap();
    assert_eq!(receive(&mut client, 6).await, b"answer");

    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
    server.write_all(b"late").await.unwrap();
    assert_eq!(receive(&mut client, 4).await, b"late");
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn a_delay_holds_every_piece_back_in_both_directions_and_keeps_the_order() {
    let (proxy, _listener, mut client, mut server) = pair().await;
    let delay = Duration::from_millis(40);
    proxy.apply(Faults { delay, jitter: delay, ..Faults::default() });

    let sent = Instant::now();
    for number in 0..20_u8 {
        client.write_all(&[number]).await.unwrap();
    }
    assert_eq!(receive(&mut server, 20).await, (0..20).collect::<Vec<_>>());
    assert!(sent.elapsed() >= delay);

    let sent = Instant::now();
    server.write_all(b"x").await.unwrap();
    receive(&mut client, 1).await;
    assert!(sent.elapsed() >= delay);
}

#[tokio::test]
async fn a_request_arrives_and_its_answer_is_lost_in_a_reset() {
    let (proxy, _listener, mut client, mut server) = pair().await;
    proxy.apply(Faults { reset_after: Some((Direction::Answers, 0)), ..Faults::default() });
    client.write_all(b"request").await.unwrap();
    assert_eq!(receive(&mut server, 7).await, b"request");
    server.write_all(b"answer").await.unwrap();
    assert!(is_reset(&mut client).await);
    assert!(is_reset(&mut server).await);
}

#[tokio::test]
async fn a_reset_comes_after_exactly_so_many_bytes_since_it_was_set() {
    let (proxy, _listener, mut client, mut server) = pair().await;
    client.write_all(b"before").await.unwrap();
    receive(&mut server, 6).await;
    proxy.apply(Faults { reset_after: Some((Direction::Requests, 3)), ..Faults::default() });
    client.write_all(b"abcdef").await.unwrap();
    assert_eq!(receive(&mut server, 3).await, b"abc");
    assert!(is_reset(&mut server).await);
}

#[tokio::test]
async fn half_closed_answers_end_while_requests_go_on() {
    let (proxy, _listener, mut client, mut server) = pair().await;
    proxy.apply(Faults { half_close: Some(Direction::Answers), ..Faults::default() });
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    client.write_all(b"still").await.unwrap();
    assert_eq!(receive(&mut server, 5).await, b"still");
}

#[tokio::test]
async fn a_cut_resets_old_and_new_connections_until_healed() {
    let (proxy, listener, mut client, mut server) = pair().await;
    proxy.cut();
    assert!(is_reset(&mut client).await);
    assert!(is_reset(&mut server).await);
    // The reset may already end the connecting.
    if let Ok(mut refused) = TcpStream::connect(proxy.addr()).await {
        assert!(is_reset(&mut refused).await);
    }

    proxy.heal();
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    client.write_all(b"again").await.unwrap();
    assert_eq!(receive(&mut server, 5).await, b"again");
}

#[tokio::test]
async fn a_frozen_link_passes_nothing_and_gives_it_all_when_healed() {
    let (proxy, _listener, mut client, mut server) = pair().await;
    proxy.freeze();
    client.write_all(b"waiting").await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(50), server.peek(&mut byte)).await;
    assert!(early.is_err(), "something passed a frozen link");
    proxy.heal();
    assert_eq!(receive(&mut server, 7).await, b"waiting");
}

#[tokio::test]
async fn a_client_of_a_server_that_is_not_there_is_reset() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Proxy::start(gone).await;
    if let Ok(mut client) = TcpStream::connect(proxy.addr()).await {
        assert!(is_reset(&mut client).await);
    }
}
