//! People are sent to consent pages, and imports that come again leave what was refreshed alone.

use serde_json::{Value, json};
use settings::{ExposeSecret, SecretString};
use store::{
    Owned, Stage, operate,
    user::{SourceConnection, User, document, field, users},
};

use crate::stand::{Done, Stand, name, run};

/// Applications at Exist and Trakt, and none at the others.
const APPS: [(&str, &str); 6] = [
    ("TRIBUTARY_EXIST_CLIENT_ID", "us-at-exist"),
    ("TRIBUTARY_EXIST_CLIENT_SECRET", "planted-app-5ecret"),
    ("TRIBUTARY_TRAKT_CLIENT_ID", "us-at-trakt"),
    ("TRIBUTARY_TRAKT_CLIENT_SECRET", "planted-app-5ecret"),
    ("TRIBUTARY_TRAKT_OAUTH_URL", "https://trakt.example/oauth"),
    ("TRIBUTARY_PUBLIC_URL", "https://we.example/tributary/"),
];

async fn connect(stand: &Stand, arguments: &[&str]) -> Done {
    let mut command = stand.command(&[&["connections", "connect"], arguments].concat());
    command.envs(APPS);
    let done = run(command, "").await;
    assert!(!done.to_string().contains("5ecret"), "{done}");
    done
}

fn file(stand: &Stand, settings: &Value) -> String {
    let path = stand.server.dir().join("settings.json");
    std::fs::write(&path, settings.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn watched(name: &str) -> Value {
    json!({"map": {name: {"from": "episodes", "label": "Episodes", "group": "media", "value_type": 0}}})
}

#[tokio::test]
async fn the_address_to_consent_at_is_printed_for_exist_and_for_a_source() {
    let stand = Stand::with_people().await;
    let plain = connect(&stand, &["exist", "--user", "alice"]).await;
    assert!(plain.stderr.contains("within 10 minutes"), "{plain}");
    let plain = plain.ok();
    assert!(plain.starts_with("https://exist.io/oauth2/authorize?") && plain.ends_with('\n'), "{plain}");
    assert!(plain.contains("client_id=us-at-exist"), "{plain}");

    let settings = file(&stand, &watched("episodes"));
    let told = connect(&stand, &["trakt", "--user", "bob", "--settings", &settings, "--json"]).await.json();
    let url: url::Url = told["url"].as_str().unwrap().parse().unwrap();
    let field = |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned();
    assert_eq!(url.host_str(), Some("trakt.example"));
    assert_eq!(field("redirect_uri"), "https://we.example/tributary/oauth/trakt/callback");
    assert_eq!(field("state").len(), 32);
    assert!(told["valid_until"].is_string(), "{told}");
    let held = stand.dump().await;
    let is_held = |(key, value): &(String, Vec<u8>)| {
        let state = field("state");
        key.contains(&state) || value.windows(state.len()).any(|bytes| bytes == state.as_bytes())
    };
    assert!(!held.iter().any(is_held), "whoever reads Redis learns no state");
}

#[tokio::test]
async fn what_cannot_be_connected_by_consent_is_told_with_what_to_do_instead() {
    let stand = Stand::with_people().await;
    let settings = file(&stand, &watched("episodes"));
    // Alice's Toggl feeds this one, in seconds.
    let taken = watched("productive_min");
    for (arguments, code, told) in [
        (&["toggl", "--user", "alice"][..], 2, "import a connection with its key"),
        (&["nobody", "--user", "alice"], 2, "is neither exist nor one of"),
        (&["ynab", "--user", "alice"], 1, "TRIBUTARY_YNAB_CLIENT_ID and TRIBUTARY_YNAB_CLIENT_SECRET"),
        (&["trakt", "--user", "alice"], 1, "has no connection to trakt yet: give --settings"),
        (&["trakt", "--user", "nobody", "--settings", &settings], 1, "connect nobody to exist first"),
    ] {
        let done = connect(&stand, arguments).await;
        assert_eq!(done.code, Some(code), "{arguments:?}: {done}");
        assert!(done.stderr.contains(told), "{arguments:?}: {done}");
        assert_eq!(done.stdout, "", "{arguments:?}");
    }
    for (wrong, told) in [
        (taken, "another connection feeds this attribute"),
        (json!({"map": {"episodes": {"from": "nowhere"}}}), "from"),
        (json!({"map": []}), "map must be an object"),
        (json!({}), "map must be an object"),
    ] {
        let settings = file(&stand, &wrong);
        let done = connect(&stand, &["trakt", "--user", "alice", "--settings", &settings]).await;
        assert_eq!(done.code, Some(2), "{wrong}: {done}");
        assert!(done.stderr.contains(told), "{wrong}: {done}");
    }
    assert!(stand.dump().await.iter().all(|(key, _)| !key.starts_with("grant:")), "nobody is awaited");
}

async fn documents(owned: &Owned) -> User {
    users(&owned.redis, &owned.keys, owned.partition(), &[name("alice")]).await.unwrap().remove(0)
}

fn github(token: &str, repositories: &[&str], secret: &str) -> String {
    json!([{"user": "alice", "timezone": "UTC", "exist": {"access_token": "t"}, "connections": [{"source": "github",
        "credentials": {"token": token, "login": "alice", "user_id": 7, "repositories": repositories,
            "webhook_secret": secret}}]}])
    .to_string()
}

#[tokio::test]
async fn an_import_that_says_the_same_again_leaves_refreshed_tokens_and_their_connection_alone() {
    let stand = Stand::start().await;
    let file = github("of-the-file", &["octo/demo"], "hush");
    stand.import(&file).await.ok();
    let owned = stand.owned(Stage::Fetch, "alice").await;
    let github = event::SourceName::try_new("github").unwrap();
    let sealer = stand.sealer();
    // As the fetcher stores what it refreshed.
    let refreshed = sealer.seal(&SecretString::from(r#"{"token": "refreshed"}"#), "alice/github");
    let connection = SourceConnection { credentials: refreshed, ..documents(&owned).await.sources[&github].clone() };
    let fields = [(field::source(&github), document(&connection))];
    operate::connect(&owned.redis, &owned.keys, owned.partition(), &name("alice"), &fields, &[], &[]).await.unwrap();

    stand.import(&file).await.ok();
    assert_eq!(documents(&owned).await.sources[&github], connection, "not even sealed anew");
    stand.import(&file.replace("of-the-file", "of-another-file")).await.ok();
    let stored = documents(&owned).await.sources[&github].credentials.clone();
    let stored = sealer.open(&stored, "alice/github").unwrap();
    assert!(stored.expose_secret().contains("of-another-file"), "the operator knows better now");
}

#[tokio::test]
async fn a_connection_listens_to_the_topics_that_its_last_import_names_and_to_no_others() {
    let stand = Stand::start().await;
    let owned = stand.owned(Stage::Fetch, "alice").await;
    let github_name = event::SourceName::try_new("github").unwrap();
    let listens = async || {
        let mut found = Vec::new();
        for topic in ["octo/one", "octo/two", "octo/three", ""] {
            let listeners = store::intake::listeners(&owned.redis, &owned.keys, &github_name, topic, 9).await.unwrap();
            found.extend((!listeners.is_empty()).then_some(topic));
        }
        found
    };
    stand.import(&github("t", &["octo/one", "Octo/Two"], "hush")).await.ok();
    assert_eq!(listens().await, ["octo/one", "octo/two"]);
    stand.import(&github("t", &["octo/two", "octo/three"], "hush")).await.ok();
    assert_eq!(listens().await, ["octo/two", "octo/three"]);
    stand.import(&github("t", &["octo/two"], "hush").replace(r#","webhook_secret":"hush""#, "")).await.ok();
    assert_eq!(listens().await, [""; 0], "without a secret nothing is taken");
    stand.import(&github("t", &["octo/two"], "hush")).await.ok();
    stand.run(&["connections", "remove", "alice", "--yes"]).await.ok();
    assert_eq!(listens().await, [""; 0]);
}
