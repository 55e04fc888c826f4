//! A service as a process: it says when it is ready, and leaves when asked.

use std::{process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};

use crate::stand::Stand;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_service_logs_json_is_ready_once_it_reached_redis_and_drains_on_sigterm() {
    let stand = Stand::with_people().await;
    for service in ["normaliser", "exist-writer"] {
        let mut command = stand.command(&[service, "--set", "admin-addr=127.0.0.1:0"]);
        // Nobody answers there: no request of a test leaves the machine.
        command
            .env("TRIBUTARY_EXIST_API_URL", "http://127.0.0.1:1")
            .env("TRIBUTARY_EXIST_OAUTH_URL", "http://127.0.0.1:1");
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut base = None;
        let took_over = async {
            while let Some(line) = log.next_line().await.unwrap() {
                let line: serde_json::Value = serde_json::from_str(&line).expect("each line is JSON");
                let said = line["message"].as_str().unwrap_or_default().to_owned();
                base = base.take().or_else(|| Some(said.strip_prefix("health and metrics at ")?.to_owned()));
                if said.starts_with("took ") {
                    return;
                }
            }
        };
        timeout(SOON, took_over).await.expect("it takes its partitions");
        assert!(answers_200(&base.expect("it says where it answers"), "/readyz").await);

        let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let leaves = async {
            while log.next_line().await.unwrap().is_some() {}
            child.wait().await.unwrap()
        };
        assert_eq!(timeout(SOON, leaves).await.expect("it leaves when asked").code(), Some(0));
        let status = stand.run(&["status", "--json"]).await.json();
        let owned = status["stages"].as_array().unwrap().iter().map(|stage| stage["owned"].as_u64().unwrap());
        assert_eq!(owned.sum::<u64>(), 0, "it gave back what it owned");
    }
}

async fn answers_200(base: &str, path: &str) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let host = base.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.expect("it answers").unwrap();
    answer.starts_with("HTTP/1.1 200")
}
