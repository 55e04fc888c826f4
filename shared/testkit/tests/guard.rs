//! No server outlives its test process, even one that ends without running a destructor.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const CHILD: &str = "TESTKIT_GUARD_CHILD";
/// Generous: the guard acts as soon as the system has closed the pipe.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// Run by the test below in a process of its own: starts servers, says so, and waits to be killed.
#[test]
fn in_a_child_process_servers_are_started_and_never_ended() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    // A thread of its own that ends: the server must not end with it.
    std::thread::spawn(|| testkit::redis().pid()).join().unwrap();
    let redis = testkit::redis();
    println!("\nserver {} {}", redis.addr(), redis.dir().display());
    loop {
        std::thread::park();
    }
}

#[test]
fn a_server_ends_with_a_test_process_that_is_killed() {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["in_a_child_process", "--nocapture"])
        .env(CHILD, "yes")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let started = lines.find_map(|line| line.unwrap().strip_prefix("server ").map(str::to_owned));
    let started = started.expect("the child says what it started");
    let (addr, dir) = started.split_once(' ').unwrap();
    // Whether it takes connections, not its process id: a zombie keeps that until it is reaped.
    let alive = || Path::new(dir).exists() || TcpStream::connect(addr).is_ok();
    assert!(alive());

    process.kill().unwrap();
    process.wait().unwrap();
    let killed = Instant::now();
    while alive() {
        assert!(killed.elapsed() < GONE_WITHIN, "the server at {addr} outlived its process");
        std::thread::yield_now();
    }
}
