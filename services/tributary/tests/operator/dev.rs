//! Everything in one process: people's records become numbers that can be explained.

use std::{path::Path, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr},
    time::{Instant, sleep, timeout},
};

use crate::stand::{Stand, command, run};

/// How long the first numbers may take on a busy machine.
const NUMBERS_MAX: Duration = Duration::from_secs(90);
/// How long a drain may take: calls in hand have 20 s.
const DRAIN_MAX: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(200);

struct Trial {
    child: Child,
    /// Read on, so that the process never waits for a reader.
    said: Lines<BufReader<ChildStderr>>,
    url: String,
}

impl Trial {
    async fn start() -> Self {
        let server = std::env::var("TRIBUTARY_REDIS_SERVER");
        let settings: Vec<_> = server.iter().map(|path| ("TRIBUTARY_REDIS_SERVER", path.as_str())).collect();
        // A group of its own, as a terminal gives to what it runs.
        let mut child =
            command(&["dev", "--embedded"], &settings).process_group(0).stdout(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut url = None;
        let introduced = async {
            while let Some(line) = said.next_line().await.unwrap() {
                let hint = line.strip_prefix("try: TRIBUTARY_REDIS_URL=");
                url = url.take().or_else(|| Some(hint?.strip_suffix(" tributary status")?.to_owned()));
                if line == "Ctrl-C drains" {
                    return;
                }
            }
        };
        timeout(NUMBERS_MAX, introduced).await.expect("it introduces itself");
        Self { child, said, url: url.expect("it says what to try next") }
    }

    async fn ask(&self, arguments: &[&str]) -> Value {
        run(command(arguments, &[("TRIBUTARY_REDIS_URL", self.url.as_str())]), "").await.json()
    }

    /// Asks until the answer is the one that is waited for.
    async fn until(&self, arguments: &[&str], holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + NUMBERS_MAX;
        loop {
            let answer = self.ask(arguments).await;
            if holds(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{arguments:?} still says {answer}");
            sleep(ASK_EVERY).await;
        }
    }
}

#[tokio::test]
async fn a_trial_carries_numbers_that_can_be_explained_and_leaves_nothing_behind() {
    let mut trial = Trial::start().await;
    let completed = ["transactions", "moana", "--state", "completed", "--limit", "100000", "--json"];
    trial.until(&completed, |answer| answer["transactions"].as_array().is_some_and(|rows| rows.len() > 20)).await;
    trial
        .until(&["status", "--json"], |status| {
            status["stages"].as_array().is_some_and(|stages| stages.iter().all(|stage| stage["owned"] == 64))
        })
        .await;
    let shown = trial.ask(&["connections", "show", "moana", "--json"]).await;
    assert_eq!(shown["attributes"]["keystrokes"], "owned");

    let mut explained = 0;
    for ago in 0..14 {
        let day = (jiff::Zoned::now() - jiff::SignedDuration::from_hours(24 * ago)).date().to_string();
        let holds = |answer: &Value| answer["waiting"] == false;
        let number = trial.until(&["explain", "moana", "keystrokes", &day, "--json"], holds).await;
        if number["confirmed"].is_null() {
            continue;
        }
        assert_eq!(number["confirmed"], number["value"], "{number}");
        let records = number["records"].as_array().unwrap();
        let sum: i64 = records.iter().filter_map(|record| record["amount"].as_i64()).sum();
        assert_eq!((Some(sum), number["older"].as_i64()), (number["total"].as_i64(), Some(0)), "{number}");
        let last = number["requests"].as_array().unwrap().last().unwrap();
        assert_eq!(last["request"], number["confirmed_by"], "{number}");
        assert_eq!(last["said"], format!("sent {}: stored", number["value"].as_str().unwrap()), "{number}");
        explained += 1;
    }
    assert!(explained >= 3, "{explained} days of keystrokes were written");
    let nothing =
        run(command(&["explain", "moana", "steps", "2026-01-01"], &[("TRIBUTARY_REDIS_URL", &trial.url)]), "");
    assert_eq!(nothing.await.code, Some(1), "nothing feeds it");

    // Ctrl-C reaches the whole group; Redis must be there until everything is drained.
    let pid = i32::try_from(trial.child.id().unwrap()).unwrap();
    let groups = groups_of_children(pid);
    assert!(!groups.is_empty() && !groups.contains(&pid), "{groups:?}");
    kill_process_group(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    let leaves = async {
        while trial.said.next_line().await.unwrap().is_some() {}
        trial.child.wait().await.unwrap()
    };
    let status = timeout(DRAIN_MAX, leaves).await.expect("it leaves when asked");
    assert_eq!(status.code(), Some(0));
    let socket = trial.url.strip_prefix("unix://").unwrap();
    assert!(!Path::new(socket).exists(), "Redis and its folder are gone");
}

/// The process groups of a process' children, by the kernel's list.
fn groups_of_children(parent: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let stats = processes.filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok());
    let child = |stat: String| {
        // Behind the name, which may hold anything: state, parent, group.
        let mut numbers = stat.rsplit(')').next()?.split_whitespace().skip(1).map_while(|word| word.parse().ok());
        let (is_ours, group) = (numbers.next()? == parent, numbers.next()?);
        is_ours.then_some(group)
    };
    stats.filter_map(child).collect()
}

#[tokio::test]
async fn a_trial_with_invented_people_refuses_a_redis_with_others() {
    let stand = Stand::with_people().await;
    let done = stand.run(&["dev"]).await;
    assert_eq!(done.code, Some(1), "{done}");
    assert!(done.stderr.contains("this Redis holds people who do not live at the simulated peers"), "{done}");
}
