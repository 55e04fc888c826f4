//! Somebody comes back from a consent page.

use std::collections::BTreeMap;

use event::{AttributeName, ContentHash, ExternalId, Origin, RawEvent, RecordKind, Version};
use fetcher::{EXIST, Grant, exist_oauth};
use reqwest::Url;
use serde_json::{Value, json};
use settings::{ExposeSecret, SecretString};
use source::{Hint, RulesByAttribute};
use store::user::{Adopt, Connected, ExistConnection, document, field};

use crate::{
    fake,
    stand::{Stand, id},
};

async fn stand() -> Stand {
    let base = fake::token_server().await;
    let more = [
        ("TRIBUTARY_EXIST_OAUTH_URL", base.as_str()),
        ("TRIBUTARY_EXIST_CLIENT_ID", "us"),
        ("TRIBUTARY_EXIST_CLIENT_SECRET", "app-5ecret"),
    ];
    Stand::on(testkit::redis().url(), &more, Some(fake::oauth(&base))).await
}

fn rules(of: u8) -> RulesByAttribute {
    BTreeMap::from([(AttributeName::try_new("keystrokes").unwrap(), json!({ "of": of }))])
}

/// Sends somebody to a consent page; returns the state that comes back.
pub(crate) async fn begin(stand: &Stand, user: &str, peer: &str, credentials: Value) -> String {
    begin_with(stand, user, peer, credentials, rules(1)).await
}

async fn begin_with(stand: &Stand, user: &str, peer: &str, credentials: Value, rules: RulesByAttribute) -> String {
    let attributes = BTreeMap::new();
    let grant = Grant { user: id(user), peer: peer.to_owned(), credentials, rules, attributes };
    let oauth =
        if peer == EXIST { exist_oauth(&stand.settings).unwrap().unwrap() } else { fake::oauth("http://127.0.0.1:1") };
    let sealer = stand.settings.encryption_key.as_ref().unwrap();
    let url: Url = grant.begin(&stand.redis, &stand.keys, sealer, &oauth).await.unwrap().parse().unwrap();
    url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned()
}

fn off() -> Connected {
    Connected::Off { reason: "connect again".to_owned(), since_ms: 1 }
}

#[tokio::test]
async fn a_code_becomes_a_connection_that_is_read_at_once() {
    let stand = stand().await;
    stand.connect_as("ada", json!({"access_token": "old", "webhook_secret": "s", "topics": ["t"]}), off()).await;
    let fetcher = stand.fetcher().await;
    let state = begin(&stand, "ada", "fake", json!({"webhook_secret": "s", "topics": ["u"]})).await;
    assert_eq!(state.len(), 32, "128 bits");
    let answer = fetcher.get(&format!("/oauth/fake/callback?code=good&state={state}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("fake is connected"), "{}", answer.body);
    let credentials = stand.credentials("ada").await;
    assert_eq!(credentials["access_token"], fake::FRESH);
    assert_eq!(credentials["refresh_token"], "fresh-refresh-5ecret", "both tokens are stored");
    assert_eq!((&credentials["whose"], &credentials["webhook_secret"]), (&json!("mine"), &json!("s")));
    assert!(stand.user("ada").await.sources[&fake::name()].connected.is_on());
    stand.until_read(Hint::None).await;
    let row = |topic| json!({"topic": topic, "do": "row"});
    assert_eq!(fetcher.hook("/hooks/fake", "s", "1", &row("u")).await.status, 202);
    assert_eq!(stand.raw("ada").await.len(), 1, "the topics are those of the new credentials");
    assert_eq!(fetcher.hook("/hooks/fake", "s", "2", &row("t")).await.status, 202);
    assert_eq!(stand.raw("ada").await.len(), 1, "and no others");
    fetcher.leave().await;
}

#[tokio::test]
async fn a_state_works_once_and_only_for_its_peer() {
    let stand = stand().await;
    let credentials = json!({"access_token": "old"});
    stand.connect_as("ada", credentials.clone(), off()).await;
    let fetcher = stand.fetcher().await;
    let back = async |peer: &str, state: &str| {
        fetcher.get(&format!("/oauth/{peer}/callback?code=good&state={state}")).await.status
    };
    let state = begin(&stand, "ada", "fake", credentials.clone()).await;
    assert_eq!(back("exist", &state).await, 400, "it is another peer's");
    assert_eq!(back("fake", &state).await, 400, "and it is used up by that");
    assert_eq!(back("fake", "never-given-out").await, 400);
    assert_eq!(fetcher.get("/oauth/fake/callback?code=good").await.status, 400);
    assert_eq!(stand.credentials("ada").await, credentials);
    assert!(!stand.user("ada").await.sources[&fake::name()].connected.is_on(), "nothing changed");

    let state = begin(&stand, "ada", "fake", credentials.clone()).await;
    let together = futures::future::join_all((0..4).map(|_| back("fake", &state))).await;
    assert_eq!(together.iter().filter(|status| **status == 200).count(), 1, "{together:?}");
    assert_eq!(together.iter().filter(|status| **status == 400).count(), 3, "{together:?}");
    fetcher.leave().await;
}

#[tokio::test]
async fn a_state_lives_ten_minutes_and_redis_never_holds_it() {
    let stand = stand().await;
    stand.connect_as("ada", json!({"access_token": "old"}), off()).await;
    let fetcher = stand.fetcher().await;
    let state = begin(&stand, "ada", "fake", json!({"webhook_secret": "planted-5ecret"})).await;
    let mut link = stand.redis.clone();
    let pattern = stand.keys.grant("*");
    let names: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(&mut link).await.unwrap();
    let [name] = &names[..] else { panic!("{names:?}") };
    let held: String = redis::cmd("GET").arg(name).query_async(&mut link).await.unwrap();
    assert!(!name.contains(&state) && !held.contains(&state), "only its hash is there");
    assert!(!held.contains("planted-5ecret") && !held.contains("ada"), "and what it is about is sealed");
    let left: i64 = redis::cmd("PTTL").arg(name).query_async(&mut link).await.unwrap();
    assert!((500_000..=600_000).contains(&left), "{left} ms");
    let _: i64 = redis::cmd("PEXPIRE").arg(name).arg(0).query_async(&mut link).await.unwrap();
    assert_eq!(fetcher.get(&format!("/oauth/fake/callback?code=good&state={state}")).await.status, 400);
    assert!(!stand.user("ada").await.sources[&fake::name()].connected.is_on());
    fetcher.leave().await;
}

#[tokio::test]
async fn a_refusal_connects_nobody_and_is_told_without_markup() {
    let stand = stand().await;
    let credentials = json!({"access_token": "old"});
    stand.connect_as("ada", credentials.clone(), off()).await;
    let fetcher = stand.fetcher().await;
    let state = begin(&stand, "ada", "fake", credentials.clone()).await;
    let answer = fetcher.get(&format!("/oauth/fake/callback?error=%3Cb%3Eaccess_denied&state={state}")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("&lt;b&gt;access_denied") && !answer.body.contains("<b>"), "{}", answer.body);
    let state = begin(&stand, "ada", "fake", credentials.clone()).await;
    let answer = fetcher.get(&format!("/oauth/fake/callback?code=used&state={state}")).await;
    assert_eq!(answer.status, 502, "the source does not take the code");
    let state = begin(&stand, "ada", "fake", json!({"plan": "none"})).await;
    let answer = fetcher.get(&format!("/oauth/fake/callback?code=good&state={state}")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("plan must be one of the account"), "{}", answer.body);
    assert_eq!(stand.credentials("ada").await, credentials, "nothing changed");
    fetcher.leave().await;
}

#[tokio::test]
async fn what_waited_for_the_return_of_a_connection_goes_back_into_the_stream() {
    let stand = stand().await;
    stand.connect_as("ada", json!({"access_token": "old"}), off()).await;
    let partition = stand.partition_of("ada");
    let held = |external_id: &str| RawEvent {
        user: id("ada"),
        source: fake::name(),
        external_id: ExternalId::try_new(external_id).unwrap(),
        version: Version(1),
        content: ContentHash::of("1"),
        kind: RecordKind::Present,
        origin: Origin::Webhook,
        seen_before: false,
        read_at_ms: 0,
        payload: "1".to_owned(),
        problem: String::new(),
        replay_of: None,
    };
    // As the normaliser leaves them: in the list, and counted as disabled.
    let mut link = stand.redis.clone();
    for external_id in ["first", "second"] {
        let list = stand.keys.held(partition, &id("ada"), &fake::name());
        let _: i64 =
            redis::cmd("RPUSH").arg(list).arg(event::encode(&held(external_id))).query_async(&mut link).await.unwrap();
    }
    let (counters, disabled) = (stand.keys.counts(partition), "state:fake:disabled");
    let _: i64 = redis::cmd("HINCRBY").arg(&counters).arg(disabled).arg(2).query_async(&mut link).await.unwrap();
    let fetcher = stand.fetcher().await;
    let state = begin(&stand, "ada", "fake", json!({})).await;
    let answer = fetcher.get(&format!("/oauth/fake/callback?code=good&state={state}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let raw = stand.raw("ada").await;
    assert_eq!(raw.iter().map(|event| event.external_id.as_str()).collect::<Vec<_>>(), ["first", "second"]);
    let left: i64 = redis::cmd("HGET").arg(&counters).arg(disabled).query_async(&mut link).await.unwrap();
    assert_eq!(left, 0, "none of them is disabled any more");
    fetcher.leave().await;
}

#[tokio::test]
async fn other_rules_have_the_window_counted_anew_and_the_same_ones_do_not() {
    let stand = stand().await;
    stand.connect_as("ada", json!({"access_token": "old"}), off()).await;
    let fetcher = stand.fetcher().await;
    for (of, anew) in [(1, false), (2, true)] {
        let state = begin_with(&stand, "ada", "fake", json!({}), rules(of)).await;
        assert_eq!(fetcher.get(&format!("/oauth/fake/callback?code=good&state={state}")).await.status, 200);
        let user = stand.user("ada").await;
        let asked = user.recounts_asked.contains_key(&fake::name()) || user.recounting.contains_key(&fake::name());
        assert_eq!(asked, anew, "rules of {of}");
    }
    fetcher.leave().await;
}

#[tokio::test]
async fn exist_is_connected_by_consent_and_what_was_adopted_stays_adopted() {
    let stand = stand().await;
    stand.connect("ada", json!({"access_token": "old"})).await;
    let sealer = stand.settings.encryption_key.as_ref().unwrap();
    let before = ExistConnection {
        connected: off(),
        access_token: sealer.seal(&SecretString::from("old"), "ada/exist"),
        refresh_token: None,
        expires_at: None,
        adopt: Adopt::Ours,
        last_chance: true,
    };
    let documents = [(field::EXIST.to_owned(), document(&before))];
    let (partition, ada) = (stand.partition_of("ada"), id("ada"));
    store::operate::connect(&stand.redis, &stand.keys, partition, &ada, &documents, &[], &[]).await.unwrap();
    let fetcher = stand.fetcher().await;
    for (user, adopt) in [("ada", Adopt::Ours), ("new", Adopt::Unset)] {
        let state = begin_with(&stand, user, EXIST, json!({}), BTreeMap::new()).await;
        let answer = fetcher.get(&format!("/oauth/exist/callback?code=good&state={state}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let user = (user, stand.user(user).await);
        let exist = user.1.exist.clone().unwrap();
        assert!(user.1.exists() && exist.connected.is_on() && !exist.last_chance);
        assert_eq!(exist.adopt, adopt, "{}", user.0);
        let token = sealer.open(&exist.access_token, &format!("{}/exist", user.0)).unwrap();
        assert_eq!(token.expose_secret(), fake::FRESH);
        assert!(exist.refresh_token.is_some() && exist.expires_at.is_some());
    }
    assert_eq!(stand.user("ada").await.sources.len(), 1, "her other connections stay");
    fetcher.leave().await;
}
