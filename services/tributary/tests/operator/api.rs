//! What the console's API answers, whom, and how much at once.

use std::collections::BTreeSet;

use event::{Direction, EntryId, ExternalId, Reason, SourceName, State, TransactionId, TransactionLine, Version};
use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use settings::Settings;
use store::{Commit, Stage, now_ms};

use crate::{
    console::{Console, TOKEN},
    dead_letters::bury,
    stand::{Stand, name},
};

#[tokio::test]
async fn only_who_shows_the_token_is_answered_and_nothing_can_be_changed() {
    let stand = Stand::with_people().await;
    let console = Console::of(&stand).await;
    let ask = |method: Method, path: &str, token: &str| {
        let request = console.http.request(method, console.url(path)).header(header::AUTHORIZATION, token);
        async move {
            let answer = request.send().await.unwrap();
            let kind = answer.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
            let asks = answer.headers().contains_key(header::WWW_AUTHENTICATE);
            (answer.status(), kind, asks, answer.json::<Value>().await.unwrap())
        }
    };
    let right = format!("Bearer {TOKEN}");
    let cases = [
        (Method::GET, "status", String::new(), StatusCode::UNAUTHORIZED),
        (Method::GET, "status", format!("Bearer {TOKEN}x"), StatusCode::UNAUTHORIZED),
        (Method::GET, "status", format!("Bearer {}", &TOKEN[1..]), StatusCode::UNAUTHORIZED),
        (Method::GET, "status", format!("Basic {TOKEN}"), StatusCode::UNAUTHORIZED),
        (Method::GET, "users/alice/transactions", "Bearer ".to_owned(), StatusCode::UNAUTHORIZED),
        (Method::POST, "status", right.clone(), StatusCode::METHOD_NOT_ALLOWED),
        (Method::DELETE, "dead-letters", right.clone(), StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "nothing", right.clone(), StatusCode::NOT_FOUND),
        (Method::GET, "users/carol/transactions", right.clone(), StatusCode::NOT_FOUND),
        (Method::GET, "users/a%20b/transactions", right.clone(), StatusCode::BAD_REQUEST),
        (Method::GET, "users/alice/transactions?state=lost", right.clone(), StatusCode::BAD_REQUEST),
        (Method::GET, "users/alice/transactions?before=now", right.clone(), StatusCode::BAD_REQUEST),
        (Method::GET, "partitions?limit=0", right.clone(), StatusCode::BAD_REQUEST),
        (Method::GET, "partitions?limit=501", right.clone(), StatusCode::BAD_REQUEST),
        (Method::GET, "partitions?limit=many", right.clone(), StatusCode::BAD_REQUEST),
        (Method::GET, "partitions?stage=read", right.clone(), StatusCode::BAD_REQUEST),
        (Method::GET, "dead-letters?colour=red", right.clone(), StatusCode::BAD_REQUEST),
        (Method::GET, "dead-letters?cause=none", right.clone(), StatusCode::BAD_REQUEST),
    ];
    for (method, path, token, wanted) in cases {
        let (code, kind, asks, problem) = ask(method.clone(), path, &token).await;
        assert_eq!(code, wanted, "{method} {path} {token:?}: {problem}");
        assert_eq!(kind, "application/problem+json", "{path}");
        assert_eq!(asks, wanted == StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(problem["status"], wanted.as_u16(), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{problem}");
    }
    assert_eq!(ask(Method::GET, "status", &format!("bearer {TOKEN}")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn without_a_token_of_ours_nobody_is_answered_and_a_short_one_is_refused() {
    let stand = Stand::start().await;
    let console = Console::start(&stand, &[]).await;
    for token in ["", TOKEN] {
        let answer = console.http.get(console.url("status")).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(answer.text().await.unwrap().contains("TRIBUTARY_CONSOLE_TOKEN"));
    }
    let mut short = stand.command(&["console", "--set", "console-addr=127.0.0.1:0"]);
    short.env("TRIBUTARY_CONSOLE_TOKEN", "fifteen-charact");
    let done = crate::stand::run(short, "").await;
    assert_eq!(done.code, Some(1), "{done}");
    assert!(done.stderr.contains("TRIBUTARY_CONSOLE_TOKEN is shorter than 16"), "{done}");
    assert!(!done.to_string().contains("fifteen-charact"), "{done}");
}

#[tokio::test]
async fn what_is_described_is_what_is_answered() {
    let stand = Stand::with_people().await;
    let console = Console::of(&stand).await;
    let served = console.http.get(console.url("openapi.json")).send().await.unwrap().json::<Value>().await.unwrap();
    let made: Value = serde_json::from_str(&::console::openapi().to_json().unwrap()).unwrap();
    assert_eq!(served, made);
    let paths = served["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 4);
    for (path, verbs) in paths {
        assert_eq!(verbs.as_object().unwrap().keys().collect::<Vec<_>>(), ["get"], "{path}");
        let answer = console.ok(path.strip_prefix("/api/v1/").unwrap().replace("{id}", "alice").as_str()).await;
        let schema = &verbs["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let differs = differs(&served, schema, &answer);
        assert_eq!(differs, Vec::<String>::new(), "{path}: {answer}");
    }
}

/// Where an answer is not as its schema says: fields that are missing or of another type, or that nobody described.
fn differs(all: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let at = |name: &str, found: Vec<String>| -> Vec<String> {
        found.into_iter().map(|found| format!("{name}.{found}")).collect()
    };
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return at(name, differs(all, &all["components"]["schemas"][name], value));
    }
    if let Some(parts) = schema["allOf"].as_array() {
        // Each part describes some of the fields.
        let known: BTreeSet<String> = parts.iter().flat_map(|part| fields(all, part)).collect();
        let found = value.as_object().unwrap().keys().filter(|name| !known.contains(*name));
        return found.map(|name| format!("{name} is not described")).collect();
    }
    if let Some(any) = schema["oneOf"].as_array() {
        let each = any.iter().map(|one| differs(all, one, value));
        return each.min_by_key(Vec::len).unwrap_or_default();
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.contains(&is) {
        return vec![format!("{value} is no {types:?}")];
    }
    match value {
        Value::Array(values) => values.iter().flat_map(|value| differs(all, &schema["items"], value)).collect(),
        Value::Object(values) => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let missing = required.filter(|name| !values.contains_key(*name)).map(|name| format!("{name} is missing"));
            let each = values.iter().flat_map(|(name, value)| {
                let schema = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
                match schema {
                    Some(schema) => at(name, differs(all, schema, value)),
                    None => vec![format!("{name} is not described")],
                }
            });
            missing.chain(each).collect()
        }
        _ => Vec::new(),
    }
}

fn fields(all: &Value, schema: &Value) -> Vec<String> {
    let schema = match schema["$ref"].as_str() {
        Some(name) => &all["components"]["schemas"][name.rsplit('/').next().unwrap()],
        None => schema,
    };
    schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned()).collect()
}

#[tokio::test]
async fn dead_letters_come_in_pages_each_once() {
    let stand = Stand::with_people().await;
    let mut buried = BTreeSet::new();
    for number in 1..=7 {
        buried.insert(bury(&stand, if number % 2 == 0 { "alice" } else { "bob" }, number).await);
    }
    let console = Console::of(&stand).await;
    let id = |letter: &Value| letter["id"].as_str().unwrap().to_owned();
    let (mut found, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = console.ok(&format!("dead-letters?limit=3{after}")).await;
        let letters = page["dead_letters"].as_array().unwrap();
        assert!(letters.len() <= 3);
        found.extend(letters.iter().map(id));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert!(pages >= 3, "{pages}");
    assert_eq!(found.len(), 7, "each once: {found:?}");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), buried);

    let of_alice = console.ok("dead-letters?user=alice&source=toggl&cause=malformed&stage=normalise").await;
    let listed = stand.run(&["dead-letters", "list", "--user", "alice", "--json"]).await.json();
    assert_eq!(of_alice["dead_letters"], listed["dead_letters"], "as the command tells them");
    assert_eq!(of_alice["dead_letters"].as_array().unwrap().len(), 3);
    assert_eq!(console.ok("dead-letters?stage=write").await["dead_letters"], Value::Array(Vec::new()));
    assert!(!of_alice.to_string().contains("duration\\\""), "never what is in them: {of_alice}");
}

#[tokio::test]
async fn a_users_transactions_come_in_pages_as_the_command_tells_them() {
    let stand = Stand::with_people().await;
    let owned = stand.owned(Stage::Normalise, "alice").await;
    let now = now_ms(&owned.redis).await.unwrap();
    let line = |number: u64| TransactionLine {
        id: TransactionId { partition: owned.partition(), entry: EntryId { ms: now + number, seq: 0 } },
        direction: Direction::Inbound,
        user: name(if number == 4 { "somebody-else" } else { "alice" }),
        source: SourceName::try_new("toggl").unwrap(),
        external_id: ExternalId::try_new(&number.to_string()).unwrap(),
        version: Version(7),
        state: if number == 5 { State::Errored } else { State::Completed },
        reason: if number == 5 { Reason::Malformed } else { Reason::Confirmed },
        cause: None,
        read_at_ms: 3,
        at_ms: 4,
        contributions: Vec::new(),
        detail: String::new(),
    };
    let mut commit = Commit::new();
    owned.write_audit(&mut commit, now, Settings::default().retention, (1..=8).map(line).collect(), Vec::new());
    owned.commit(commit).await.unwrap();

    let console = Console::of(&stand).await;
    let said = stand.run(&["transactions", "alice", "--json"]).await.json();
    let all = console.ok("users/alice/transactions").await;
    assert_eq!((&all["transactions"], &all["older"]), (&said["transactions"], &said["older"]));
    let numbers = |page: &Value| -> Vec<String> {
        let rows = page["transactions"].as_array().unwrap().iter();
        rows.map(|row| row["external_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(numbers(&all), ["1", "2", "3", "5", "6", "7", "8"]);
    let newest = console.ok("users/alice/transactions?limit=3").await;
    assert_eq!((numbers(&newest), &newest["older"]), (vec!["6".into(), "7".into(), "8".into()], &4.into()));
    let before = newest["next"].as_str().unwrap();
    let older = console.ok(&format!("users/alice/transactions?limit=3&before={before}")).await;
    assert_eq!(numbers(&older), ["2", "3", "5"]);
    assert_eq!(numbers(&console.ok("users/alice/transactions?state=errored").await), ["5"]);
}

#[tokio::test]
async fn partitions_come_in_pages_by_stage() {
    let stand = Stand::with_people().await;
    let console = Console::of(&stand).await;
    let first = console.ok("partitions?stage=normalise&limit=40").await;
    let rest = console.ok(&format!("partitions?stage=normalise&skip={}", first["next"])).await;
    let numbers = [&first, &rest].map(|page| page["partitions"].as_array().unwrap().clone()).concat();
    let numbers: Vec<u64> = numbers.iter().map(|row| row["partition"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..64).collect::<Vec<_>>());
    assert_eq!(rest["next"], Value::Null);
    let all = console.ok("partitions?limit=500").await;
    assert_eq!(all["partitions"].as_array().unwrap().len(), 3 * 64);
}
