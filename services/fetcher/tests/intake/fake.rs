//! A source that sends webhooks and knows consent pages, and no record of its own.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Json, Router, extract::RawForm, http::StatusCode, routing::post};
use event::{AttributeName, ExternalId, SourceName, Unit, Version};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;
use source::{
    Account, Counted, CredentialsError, Cursor, Hint, Hooks, Malformed, Mapping, MappingError, OAuth, Page, Read, Row,
    RulesByAttribute, Source, SourceError, Zones,
    hooks::{Delivery, Hooked, is_hmac_sha256},
    oauth::Encoding,
};

/// What its token server gives for the code `good`; the other codes are refused.
pub(crate) const FRESH: &str = "fresh-access-5ecret";

pub(crate) fn name() -> SourceName {
    SourceName::try_new("fake").unwrap()
}

/// The signature of a body, as the source sends it.
pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

pub(crate) struct Fake {
    pub(crate) oauth: Option<OAuth>,
    /// What each read was asked to look for.
    pub(crate) reads: Arc<Mutex<Vec<Hint>>>,
}

#[async_trait::async_trait]
impl Source for Fake {
    fn name(&self) -> SourceName {
        name()
    }

    fn check_credentials(&self, credentials: &Value) -> Result<(), CredentialsError> {
        let problems = match credentials.get("plan").and_then(Value::as_str) {
            Some("none") => vec!["plan must be one of the account's".to_owned()],
            _ => Vec::new(),
        };
        if problems.is_empty() { Ok(()) } else { Err(CredentialsError { problems }) }
    }

    fn compile(&self, rules: &RulesByAttribute) -> Result<Arc<dyn Mapping>, Vec<MappingError>> {
        Ok(Arc::new(Nothing(rules.keys().map(|name| (name.clone(), Unit::Count)).collect())))
    }

    async fn read(&self, _: &Account, cursor: &Cursor, read: &Read) -> Result<Page, SourceError> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).push(read.hint);
        Ok(Page { rows: Vec::new(), cursor: cursor.clone(), more: false, back_fill: false, not_before: None })
    }

    fn oauth(&self) -> Option<&OAuth> {
        self.oauth.as_ref()
    }

    async fn complete(&self, account: &Account, _: Timestamp) -> Result<Value, SourceError> {
        let mut credentials = account.credentials.clone();
        credentials["whose"] = json!("mine");
        Ok(credentials)
    }

    fn hooks(&self) -> Option<&dyn Hooks> {
        Some(&FakeHooks)
    }
}

struct Nothing(Vec<(AttributeName, Unit)>);

impl Mapping for Nothing {
    fn attributes(&self) -> &[(AttributeName, Unit)] {
        &self.0
    }

    fn count(&self, _: &str, _: &Zones) -> Result<Counted, Malformed> {
        unreachable!("nothing is normalised here")
    }
}

/// A body says itself what shall be done with it: `{"topic": …, "do": "row", "hint": "recent"}`.
struct FakeHooks;

fn body(delivery: &Delivery<'_>) -> Result<Value, Malformed> {
    serde_json::from_slice(delivery.body).map_err(|error| Malformed(format!("fake: {error}")))
}

impl Hooks for FakeHooks {
    fn topic(&self, delivery: &Delivery<'_>) -> Result<Option<String>, Malformed> {
        Ok(body(delivery)?.get("topic").and_then(Value::as_str).map(str::to_owned))
    }

    fn topics(&self, credentials: &Value) -> Vec<String> {
        let topics = credentials.get("topics").and_then(Value::as_array).into_iter().flatten();
        topics.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn is_signed(&self, delivery: &Delivery<'_>, secret: &str) -> bool {
        delivery.header("x-signature").is_some_and(|signature| is_hmac_sha256(secret, delivery.body, signature))
    }

    fn delivery_id(&self, delivery: &Delivery<'_>) -> Option<String> {
        delivery.header("x-delivery").map(str::to_owned)
    }

    fn take(&self, delivery: &Delivery<'_>, _: &Account) -> Result<Hooked, Malformed> {
        let body = body(delivery)?;
        let hint = match body["hint"].as_str() {
            Some("recent") => Hint::Recent,
            Some("window") => Hint::Window,
            _ => Hint::None,
        };
        let row = |id: &str| Row::present(ExternalId::try_new(id).unwrap(), Version(1), body.to_string());
        match body["do"].as_str() {
            Some("row") => Ok(Hooked::Records { rows: vec![row("one")], hint }),
            Some("ask") => Ok(Hooked::Records { rows: Vec::new(), hint }),
            Some("ping") => Ok(Hooked::Ping(body.get("code").map(|code| json!({ "code": code })))),
            Some("nothing") => Ok(Hooked::Nothing),
            _ => Err(Malformed(format!("fake: nothing to do in {body}"))),
        }
    }
}

/// A token server for the fake source and for Exist: takes the code `good` and no other.
pub(crate) async fn token_server() -> String {
    let _already = rustls::crypto::ring::default_provider().install_default();
    let token = async |RawForm(form): RawForm| {
        let form = String::from_utf8(form.to_vec()).unwrap();
        if form.split('&').any(|pair| pair == "code=good") {
            let tokens = json!({"access_token": FRESH, "refresh_token": "fresh-refresh-5ecret", "expires_in": 3600});
            (StatusCode::OK, Json(tokens))
        } else {
            (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"})))
        }
    };
    let routes = Router::new().route("/token", post(token)).route("/access_token", post(token));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    base
}

pub(crate) fn oauth(base: &str) -> OAuth {
    OAuth {
        source_name: "fake",
        http: source::http::client(std::time::Duration::from_secs(5)).unwrap(),
        authorise: "https://fake.example/authorise".parse().unwrap(),
        token: format!("{base}/token").parse().unwrap(),
        encoding: Encoding::Form,
        scope: None,
        client_id: "us".to_owned(),
        client_secret: "app-5ecret".to_owned(),
        redirect_uri: "https://we.example/oauth/fake/callback".to_owned(),
    }
}
