//! Planted secrets: none of them is in anything that leaves our processes, or that they leave in Redis.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use loadtest::{
    exist::ExistConfig,
    fleet::{PrivateRedis, Role},
    github::Hook,
    world::{Fault, Malformed, Spoiled},
};
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    collector::Collector,
    show::{Show, stage},
    stand::{CONVERGE, free_address, traced, until},
};

/// Of the processes themselves.
const OURS: [(&str, &str); 6] = [
    ("TRIBUTARY_CONSOLE_TOKEN", CONSOLE_TOKEN),
    ("TRIBUTARY_TRAKT_CLIENT_SECRET", "planted-trakt-application-secret"),
    ("TRIBUTARY_YNAB_CLIENT_SECRET", "planted-ynab-application-secret"),
    ("TRIBUTARY_GITHUB_CLIENT_ID", "github-application"),
    ("TRIBUTARY_GITHUB_CLIENT_SECRET", "planted-github-application-secret"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20planted-collector-token"),
];
const CONSOLE_TOKEN: &str = "planted-console-token-of-operators";
const REDIS_PASSWORD: &str = "planted-redis-password";
const COLLECTOR_TOKEN: &str = "planted-collector-token";
/// In bodies, headers and addresses that strangers send us.
const STRANGERS: [&str; 4] = ["planted-in-a-body", "planted-signature", "planted-code", "planted-state"];

/// Credentials in the import that are no secrets.
const OPEN: [&str; 6] = ["user_id", "login", "repositories", "plan_id", "expires_in", "created_at"];

/// Every secret of everybody in the import file, and as HTTP sends it.
fn of_people(rows: &Value) -> Vec<String> {
    let mut secrets = Vec::new();
    for row in rows.as_array().expect("rows") {
        let connections = row["connections"].as_array().expect("connections");
        for holder in connections.iter().map(|connection| &connection["credentials"]).chain([&row["exist"]]) {
            for (name, value) in holder.as_object().expect("fields") {
                if let (false, Some(secret)) = (OPEN.contains(&name.as_str()), value.as_str()) {
                    secrets.push(secret.to_owned());
                    secrets.push(STANDARD.encode(format!("{secret}:api_token")));
                }
            }
        }
    }
    secrets
}

/// What was told, by whom.
#[derive(Default)]
struct Told(BTreeMap<String, Vec<u8>>);

impl Told {
    fn add(&mut self, who: impl Into<String>, what: impl Into<Vec<u8>>) {
        self.0.entry(who.into()).or_default().extend(what.into());
    }

    fn holds(&self, secret: &str) -> Vec<&str> {
        let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        self.0.iter().filter(|(_, bytes)| holds(bytes)).map(|(who, _)| who.as_str()).collect()
    }
}

/// Everything in Redis, keys and values, as it is stored.
async fn dump(url: &str) -> Vec<u8> {
    let client = redis::Client::open(url).expect("an address");
    let mut link = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("rdbcompression").arg("no");
    set.query_async::<()>(&mut link).await.expect("values are dumped as they are");
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query_async(&mut link).await.expect("keys");
    let mut all = Vec::new();
    for key in keys {
        let value: Option<Vec<u8>> = redis::cmd("DUMP").arg(&key).query_async(&mut link).await.expect("a value");
        all.extend(key);
        all.extend(value.unwrap_or_default());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_planted_secret_is_in_a_log_a_metric_a_span_a_dead_letter_an_answer_or_redis() {
    let (stage, collector, address) = (stage(179).await, Collector::start().await, free_address());
    let console = free_address();
    let redis = PrivateRedis::start().await.expect("Redis starts");
    let link = redis::Client::open(redis.url()).expect("an address");
    let mut link = link.get_multiplexed_async_connection().await.expect("Redis answers");
    let mut lock = redis::cmd("CONFIG");
    lock.arg("SET").arg("requirepass").arg(REDIS_PASSWORD);
    lock.query_async::<()>(&mut link).await.expect("a password is set");
    let url = redis.url().replacen("redis://", &format!("redis://:{REDIS_PASSWORD}@"), 1);
    let key = STANDARD.encode([7u8; 32]);
    let mut fleet = traced(&stage, &collector)
        .setting("TRIBUTARY_REDIS_URL", &url)
        .setting("TRIBUTARY_ENCRYPTION_KEY", &key)
        .setting("TRIBUTARY_WEBHOOK_ADDR", &address)
        .setting("TRIBUTARY_CONSOLE_ADDR", &console)
        .processes(Role::Console, 1)
        .setting("RUST_LOG", "debug");
    for (name, value) in OURS {
        fleet = fleet.setting(name, value);
    }
    let mut show = Show::open(&stage, fleet).await;
    show.redis_url = Some(url.clone());
    show.until_right(CONVERGE).await;
    let mut told = Told::default();
    trouble(&mut show, &address, &mut told).await;
    ask(&show, &console, &mut told).await;
    hear(&mut show, &mut told).await;
    told.add("spans", collector.bytes());
    told.add("Redis", dump(&url).await);

    // The search finds what is there: somebody's name stands in Redis, and in what operators asked for.
    let name = &stage.world.people[0].name;
    assert!(told.holds(name).contains(&"Redis"), "{:?}", told.holds(name));
    for who in [
        "fetcher-1's log",
        "exist-writer-1's metrics",
        "spans",
        "dead letters",
        "webhooks' answers",
        "the console's status",
    ] {
        assert!(told.0.get(who).is_some_and(|bytes| !bytes.is_empty()), "{who} say nothing");
    }
    assert_eq!(collector.header("authorization").as_deref(), Some("Bearer planted-collector-token"));

    let mut secrets = of_people(&stage.import_file());
    assert!(secrets.len() > 50, "only {} were planted", secrets.len());
    secrets.extend(
        OURS.into_iter().map(|(_, value)| value).filter(|value| value.starts_with("planted")).map(str::to_owned),
    );
    secrets.extend([REDIS_PASSWORD, COLLECTOR_TOKEN, &key, &ExistConfig::default().client_secret].map(str::to_owned));
    secrets.extend(STRANGERS.map(str::to_owned));
    for secret in secrets {
        let holders = told.holds(&secret);
        assert!(holders.is_empty(), "{secret} is in {holders:?}");
    }
    // Whoever sees spans does not see whose they are.
    for person in &stage.world.people {
        let spans = Told(BTreeMap::from([("spans".to_owned(), collector.bytes())]));
        assert!(spans.holds(&person.name).is_empty(), "{} is in a span", person.name);
    }
}

/// Everything goes wrong that may make somebody say too much.
async fn trouble(show: &mut Show<'_>, address: &str, told: &mut Told) {
    let stage = show.stage;
    let (github, person) = (&stage.pastimes.github, &stage.world.people[0]);
    let url = format!("http://{address}/hooks/github");
    github.add_hook(
        &person.repository,
        Hook { url: url.clone(), secret: format!("hush-{}", person.name), form_encoded: false },
    );
    github.open_issue(&person.name, &person.repository, Some(jiff::Timestamp::now()));
    until("the webhook's answer", async || !github.delivered().is_empty()).await;
    let http = reqwest::Client::new();
    let [body, signature, code, state] = STRANGERS;
    let about = format!(r#"{{"repository": {{"full_name": "{}"}}, "issue": "{body}"}}"#, person.repository);
    for body in [about, format!("{body} and no JSON")] {
        let request = http.post(&url).header("x-github-event", "issues");
        let answer = request.header("x-hub-signature-256", format!("sha256={signature}")).body(body).send().await;
        let answer = answer.expect("an answer");
        told.add("webhooks' answers", format!("{:?}", answer.headers()));
        told.add("webhooks' answers", answer.bytes().await.expect("a body"));
    }
    let callback = format!("http://{address}/oauth/ynab/callback?code={code}&state={state}");
    let answer = http.get(callback).send().await.expect("an answer");
    told.add("callbacks' answers", answer.bytes().await.expect("a page"));

    let spoiled = Fault::Malformed(Malformed { field: "start".into(), how: Spoiled::Null });
    stage.toggl.faults().next(Some(&person.name), spoiled, 1);
    for (index, fault) in
        [Fault::Status(500), Fault::Html(502), Fault::Reset, Fault::TooManyRequests { retry_after_s: Some(1) }]
            .into_iter()
            .enumerate()
    {
        let name = Some(stage.world.people[index + 1].name.as_str());
        stage.whatpulse.faults().next(name, fault.clone(), 1);
        stage.pastimes.trakt.faults().next(name, fault.clone(), 1);
        github.faults().next(name, fault, 1);
    }
    stage.pastimes.trakt.expire_access_token(&person.name);
    stage.pastimes.ynab.expire_access_token(&person.name);
    stage.pastimes.ynab.revoke(&stage.world.people[2].name);
    while show.play() {
        sleep(Duration::from_millis(700)).await;
    }
    let letters = async |show: &Show<'_>| show.fleet.run(&["dead-letters", "list", "--json"]).await.expect("an answer");
    until("a dead letter", async || letters(show).await.contains("toggl")).await;
}

/// Everything that the console answers, to operators and to strangers.
async fn ask(show: &Show<'_>, console: &str, told: &mut Told) {
    let http = reqwest::Client::new();
    let of_user = format!("users/{}/transactions", show.stage.world.people[0].name);
    for route in ["status", "partitions", "dead-letters", of_user.as_str(), "openapi.json"] {
        let get = || http.get(format!("http://{console}/api/v1/{route}"));
        let answer = get().bearer_auth(CONSOLE_TOKEN).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{route}");
        told.add(format!("the console's {route}"), answer.bytes().await.expect("a body"));
        let refused = get().bearer_auth(STRANGERS[1]).send().await.expect("an answer");
        told.add("the console's refusals", refused.bytes().await.expect("a body"));
    }
}

/// Everything that anybody can ask.
async fn hear(show: &mut Show<'_>, told: &mut Told) {
    let letters = show.fleet.run(&["dead-letters", "list", "--json"]).await.expect("an answer");
    let parsed: Value = serde_json::from_str(&letters).expect("JSON");
    let id = parsed["dead_letters"][0]["id"].as_str().expect("a letter").to_owned();
    let person = &show.stage.world.people[0];
    let (name, today) = (person.name.as_str(), jiff::Zoned::now().date().to_string());
    let attribute = person.mappings[0].attribute.as_str();
    told.add("dead letters", letters);
    let commands: [&[&str]; 10] = [
        &["dead-letters", "show", &id, "--json"],
        &["dead-letters", "list"],
        &["status", "--json"],
        &["status"],
        &["connections", "list", "--json"],
        &["connections", "show", name, "--json"],
        &["transactions", name, "--json"],
        &["explain", name, attribute, &today, "--json"],
        &["replay", "--user", name, "--json"],
        &["--print-settings"],
    ];
    for words in commands {
        // Some of them find nothing, and say so: that is heard as well.
        let said = show.fleet.run(words).await.unwrap_or_else(|error| format!("{error:#}"));
        told.add(format!("`tributary {}`", words[..1.max(words.len().min(2))].join(" ")), said);
    }
    for process in show.fleet.processes() {
        for route in ["metrics", "readyz", "startupz", "livez"] {
            let answer = reqwest::get(format!("{}/{route}", process.admin_url())).await.expect("an answer");
            told.add(format!("{}'s {route}", process.name()), answer.bytes().await.expect("a body"));
        }
    }
    // What is said while they leave is said, too.
    show.fleet.stop(Duration::from_secs(30)).await.expect("they stop");
    for process in show.fleet.processes() {
        told.add(format!("{}'s log", process.name()), process.log().expect("a log"));
    }
}
