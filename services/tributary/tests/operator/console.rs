//! What the console shows is what stands in Redis and what the command says, and gone when it is not known.

use std::{process::Stdio, time::Duration};

use event::{AttributeName, Decimal, EntryId, TransactionId};
use ledger::{Held, Pair};
use reqwest::{StatusCode, Url};
use serde_json::Value;
use settings::Settings;
use store::{Commit, Confirmed, KeyLock, Stage, Take, Totals, now_ms};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    time::{Instant, sleep, timeout},
};

use crate::{
    dead_letters::bury,
    stand::{PLANTED, Stand, name, partition_of},
};

/// How long anything may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(100);
/// What operators show.
pub(crate) const TOKEN: &str = "planted-console-5ecret";
/// Lengths of time, which pass between two readings.
const PASSING: [&str; 5] = ["oldest_ms", "unowned_ms", "left_ms", "polls_overdue_ms", "read_at_ms"];

/// A console on a stand's Redis.
pub(crate) struct Console {
    _child: Child,
    admin: Url,
    api: Url,
    pub(crate) http: reqwest::Client,
    log: tokio::task::JoinHandle<String>,
}

impl Console {
    pub(crate) async fn start(stand: &Stand, settings: &[(&str, &str)]) -> Self {
        let _already = rustls::crypto::ring::default_provider().install_default();
        let mut command = stand.command(&["console"]);
        // It opens nothing, and needs no key.
        command.env_remove("TRIBUTARY_ENCRYPTION_KEY");
        command.env("TRIBUTARY_ADMIN_ADDR", "127.0.0.1:0").env("TRIBUTARY_CONSOLE_ADDR", "127.0.0.1:0");
        command.envs(settings.iter().copied()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut admin, mut api, mut log) = (None, None, String::new());
        let told = async {
            while admin.is_none() || api.is_none() {
                let line = lines.next_line().await.unwrap().unwrap_or_else(|| panic!("it ended: {log}"));
                let said: Value = serde_json::from_str(&line).expect("each line is JSON");
                let said = said["message"].as_str().unwrap_or_default();
                let url = |begins: &str| said.strip_prefix(begins).map(|url| Url::parse(url).unwrap());
                admin = admin.take().or_else(|| url("health and metrics at "));
                api = api.take().or_else(|| url("the API is at "));
                log += &line;
            }
        };
        timeout(SOON, told).await.expect("it says where it answers");
        let log = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                log += &line;
            }
            log
        });
        let http = reqwest::Client::new();
        Self { _child: child, admin: admin.unwrap(), api: api.unwrap(), http, log }
    }

    /// One that operators may ask, and that has looked once.
    pub(crate) async fn of(stand: &Stand) -> Self {
        let console = Self::start(stand, &[("TRIBUTARY_CONSOLE_TOKEN", TOKEN)]).await;
        console.until("status", |code, _| code == StatusCode::OK).await;
        console
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("{}/{path}", self.api)).unwrap()
    }

    /// Asks with the token.
    pub(crate) async fn ask(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.http.get(self.url(path)).bearer_auth(TOKEN).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    pub(crate) async fn ok(&self, path: &str) -> Value {
        let (code, answer) = self.ask(path).await;
        assert_eq!(code, StatusCode::OK, "{path}: {answer}");
        answer
    }

    pub(crate) async fn until(&self, path: &str, holds: impl Fn(StatusCode, &Value) -> bool) -> Value {
        let deadline = Instant::now() + SOON;
        loop {
            let (code, answer) = self.ask(path).await;
            if holds(code, &answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} still says {code} {answer}");
            sleep(ASK_EVERY).await;
        }
    }

    /// What stands on `/metrics` or another admin page.
    pub(crate) async fn admin(&self, path: &str) -> String {
        self.http.get(self.admin.join(path).unwrap()).send().await.unwrap().text().await.unwrap()
    }

    async fn until_metrics(&self, holds: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            let text = self.admin("/metrics").await;
            if holds(&text) {
                return text;
            }
            assert!(Instant::now() < deadline, "still:\n{text}");
            sleep(ASK_EVERY).await;
        }
    }

    /// Ends it, and says what it logged.
    async fn log(self) -> String {
        drop(self._child);
        self.log.await.unwrap()
    }
}

/// Without lengths of time.
fn standing(mut value: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| !PASSING.contains(&name.as_str()));
                fields.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut value);
    value
}

/// Something of everything: parked and locked lanes, dead letters, pauses, a spent budget, an undecided value.
async fn brought_to_a_known_state() -> Stand {
    let stand = Stand::with_people().await;
    let (first, second) = (bury(&stand, "alice", 1).await, bury(&stand, "bob", 2).await);
    assert_ne!(first, second);
    stand.run(&["pause", "source", "whatpulse", "--reason", "we look at it", "--by", "ada"]).await.ok();
    stand.run(&["pause", "attribute", "alice", "keystrokes", "--reason", "by hand", "--by", "ada"]).await.ok();

    let owned = stand.owned(Stage::Write, "alice").await;
    let now_ms = now_ms(&owned.redis).await.unwrap();
    let kept = |ago_ms: u64| event::encode(&(EntryId { ms: now_ms - ago_ms, seq: 0 }, vec![1_u8, 2]));
    let mut commit = Commit::new();
    ["alice", "another", "third"].into_iter().for_each(|lane| owned.begin_overflow(&mut commit, lane));
    owned.push_overflow(&mut commit, "alice", &kept(90_000));
    owned.push_overflow(&mut commit, "alice", &kept(80_000));
    owned.push_overflow(&mut commit, "another", &kept(70_000));
    owned.push_overflow(&mut commit, "third", &kept(60_000));
    owned.park_lane(&mut commit, "alice", Duration::from_secs(600));
    owned.park_lane(&mut commit, "another", Duration::from_secs(600));
    owned.not_before(&mut commit, &name("alice"), now_ms + 3_600_000);
    let attribute = AttributeName::try_new("keystrokes").unwrap();
    let request = TransactionId { partition: owned.partition(), entry: EntryId { ms: now_ms, seq: 0 } };
    let today = event::Day::from_number(i32::try_from(now_ms / 86_400_000).unwrap());
    let mut totals = Totals::new(Settings::default().backfill_days);
    for (day, ours) in [(today, None), (today.plus(-1), Some(Decimal::whole(1)))] {
        let held = Held { value: Some(Decimal::whole(3)), ours, ..Held::default() };
        let pair = Pair { attribute: attribute.clone(), day };
        totals.confirm(&mut commit, &owned, &name("alice"), &pair, &Confirmed { held, request });
    }
    owned.commit(commit).await.unwrap();
    let Take::Taken(lock) = KeyLock::take(
        &owned.redis,
        &owned.keys,
        owned.partition(),
        Stage::Write,
        &name("alice"),
        "a test",
        Duration::from_secs(60),
    )
    .await
    .unwrap() else {
        panic!("nobody else is there")
    };
    // It lasts for its minute.
    drop(lock);
    stand
}

/// People as the stand has them, with Alice's keystrokes in increment mode.
async fn with_increments(stand: &Stand) {
    let people = crate::stand::PEOPLE
        .replace("\"template\": \"keystrokes\"", "\"template\": \"keystrokes\", \"mode\": \"increment\"");
    stand.import(&people).await.ok();
}

#[tokio::test]
async fn what_the_console_shows_is_what_the_command_says_and_what_stands_in_redis() {
    let stand = brought_to_a_known_state().await;
    with_increments(&stand).await;
    let console = Console::of(&stand).await;
    let said = stand.run(&["status", "--json"]).await.json();
    let shown = console.until("status", |_, shown| standing(shown.clone()) == standing(said.clone())).await;
    assert_eq!(shown["dead_letters"], 2);
    assert_eq!(shown["users_limited"], 1);
    assert_eq!(shown["connections"]["toggl"]["on"], 2);
    assert_eq!(shown["paused"].as_array().unwrap().len(), 2);
    assert_eq!(shown["key_locks"][0]["user"], "alice");
    let write = &shown["stages"][2];
    assert_eq!((&write["backlog"], &write["runnable"], &write["parked"]), (&4.into(), &1.into(), &3.into()));

    let partition = format!("{:02}", partition_of("alice").index());
    let ends = |text: &str, series: String, value: &str| {
        let line = text.lines().find(|line| line.starts_with(&series)).unwrap_or_else(|| panic!("{series}\n{text}"));
        assert_eq!(line.rsplit(' ').next(), Some(value), "{line}");
    };
    let text = console.admin("/metrics").await;
    let at = |name: &str, stage: &str| format!("tributary_{name}{{stage=\"{stage}\",partition=\"{partition}\"}}");
    ends(&text, at("backlog_entries", "write"), "4");
    ends(&text, at("runnable_entries", "write"), "1");
    ends(&text, at("runnable_entries", "normalise"), "0");
    ends(&text, at("partition_unowned_seconds", "write"), "0.000");
    ends(&text, "tributary_parked_entries{stage=\"write\",class=\"limited\"}".into(), "1");
    ends(&text, "tributary_parked_entries{stage=\"write\",class=\"locked\"}".into(), "2");
    ends(&text, "tributary_dead_letters{stage=\"normalise\",cause=\"permanent\"}".into(), "2");
    ends(&text, "tributary_dead_letters{stage=\"write\",cause=\"poison\"}".into(), "0");
    ends(&text, "tributary_connections{source=\"toggl\",state=\"on\"}".into(), "2");
    ends(&text, "tributary_connections{source=\"github\",state=\"off\"}".into(), "0");
    ends(&text, "tributary_rate_limited_users ".into(), "1");
    ends(&text, "tributary_unknown_outcome_values ".into(), "1");
    ends(&text, "tributary_key_locks_held{stage=\"write\"}".into(), "1");
    ends(&text, "tributary_key_locks_held{stage=\"fetch\"}".into(), "0");
    ends(&text, "tributary_redis_memory_ratio ".into(), "0.0000");
    assert!(text.contains("tributary_redis_pool_wait_seconds_count{service=\"console\"}"), "{text}");
    assert!(text.contains("tributary_build_info{service=\"console\""), "{text}");
    let age = text.lines().find_map(|line| line.strip_prefix(&at("oldest_runnable_age_seconds", "write"))).unwrap();
    let seconds: u64 = age.trim().split('.').next().unwrap().parse().unwrap();
    assert!((60..70).contains(&seconds), "the third lane's, which is not parked: {age}");
    for person in ["alice", "bob"] {
        assert!(!text.contains(person), "nobody is a label: {text}");
    }
}

#[tokio::test]
async fn a_console_changes_nothing_and_shows_what_is_new_at_its_next_look() {
    let stand = Stand::start().await;
    let console = Console::of(&stand).await;
    assert!(stand.dump().await.is_empty(), "nobody ever started with this Redis");
    let text = console.admin("/metrics").await;
    assert!(text.contains("tributary_transactions{source=\"ynab\",state=\"errored\"} 0\n"), "{text}");
    bury(&stand, "alice", 1).await;
    console.until("status", |_, status| status["dead_letters"] == 1).await;
    let now = "tributary_dead_letters{stage=\"normalise\",cause=\"permanent\"} 1\n";
    console.until_metrics(|text| text.contains(now)).await;
    // A partition that nobody ever owned counts as unowned for as long as we have looked.
    let unowned = "tributary_partition_unowned_seconds{stage=\"write\",partition=\"63\"} ";
    console
        .until_metrics(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix(unowned)).unwrap_or("0");
            line.split('.').next().and_then(|seconds| seconds.parse().ok()).is_some_and(|s: u64| (1..120).contains(&s))
        })
        .await;
}

#[tokio::test]
async fn gauges_and_answers_are_gone_once_redis_is() {
    let mut stand = Stand::with_people().await;
    let console = Console::of(&stand).await;
    assert!(console.admin("/metrics").await.contains("\ntributary_runnable_entries{"));
    stand.server.kill9();
    let text = console.until_metrics(|text| !text.contains("tributary_runnable_entries{")).await;
    assert!(!text.contains("\ntributary_connections{") && text.contains("tributary_build_info{"), "{text}");
    let (code, problem) = console.ask("status").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert!(console.admin("/readyz").await.contains("\"look\""));
}

#[tokio::test]
async fn no_planted_secret_is_in_an_answer_a_metric_or_the_log() {
    let stand = brought_to_a_known_state().await;
    let console = Console::of(&stand).await;
    let mut all = console.admin("/metrics").await + &console.admin("/readyz").await;
    for path in ["status", "partitions", "dead-letters", "users/alice/transactions", "openapi.json", "users/bob"] {
        all += &console.ask(path).await.1.to_string();
    }
    let wrong = console.http.get(console.url("status")).bearer_auth("planted-wrong-5ecret").send().await.unwrap();
    all += &wrong.text().await.unwrap();
    let settings = [("TRIBUTARY_CONSOLE_TOKEN", TOKEN)];
    all += &crate::stand::run(crate::stand::command(&["--print-settings"], &settings), "").await.ok();
    all += &console.log().await;
    for secret in PLANTED.iter().chain(&[TOKEN, "planted-wrong-5ecret"]) {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}
