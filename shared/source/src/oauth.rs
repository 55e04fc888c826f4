//! Access that a user grants us at a source, and that has to be renewed.

use std::fmt;

use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, Url, header::ACCEPT};
use serde_json::{Map, Value, json};

use crate::{Account, SourceError, http};

/// How a token endpoint wants to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`: Trakt.
    Json,
    /// `application/x-www-form-urlencoded`, as RFC 6749 has it.
    Form,
}

/// Our application at a source.
#[derive(Clone)]
pub struct OAuth {
    /// The source's name, for errors.
    pub source_name: &'static str,
    /// The client; should follow no redirect.
    pub http: Client,
    /// The page on which users consent.
    pub authorise: Url,
    /// Where codes and refresh tokens are exchanged.
    pub token: Url,
    /// How `token` wants to be asked.
    pub encoding: Encoding,
    /// What we ask for; none where the source knows no scopes.
    pub scope: Option<&'static str>,
    /// Our application's id.
    pub client_id: String,
    /// Our application's secret.
    pub client_secret: String,
    /// Where the source sends users back to: `…/oauth/<source>/callback`.
    pub redirect_uri: String,
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth").field("source_name", &self.source_name).finish_non_exhaustive()
    }
}

/// A pair of tokens, fresh from the source. Stored before the access token is used: the refresh token
/// before it may be dead already.
#[derive(Clone)]
pub struct Grant {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<i64>,
    created_at: i64,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

impl Grant {
    /// Credentials with these tokens in place of the ones before; everything else stays.
    #[must_use]
    pub fn renew(&self, credentials: &Value, field: &str) -> Value {
        let mut renewed = credentials.as_object().cloned().unwrap_or_default();
        let mut set = |name: &str, value: Option<Value>| match value {
            Some(value) => drop(renewed.insert(name.to_owned(), value)),
            None => drop(renewed.remove(name)),
        };
        set(field, Some(json!(self.access_token)));
        set("expires_in", self.expires_in.map(Value::from));
        set("created_at", Some(json!(self.created_at)));
        // An answer without a refresh token leaves the one we have in force (RFC 6749, section 6).
        if let Some(refresh_token) = &self.refresh_token {
            set("refresh_token", Some(json!(refresh_token)));
        }
        Value::Object(renewed)
    }
}

/// Whether the access token of such credentials should be refreshed before it is used: a tenth of its
/// life is left, or less. Credentials of unknown life never need it; the first 401 tells.
#[must_use]
pub fn expires_soon(credentials: &Value, now: Timestamp) -> bool {
    let number = |field: &str| credentials.get(field).and_then(Value::as_i64);
    match (number("created_at"), number("expires_in")) {
        (Some(created_at), Some(expires_in)) => {
            now.as_second() >= created_at.saturating_add(expires_in - expires_in / 10)
        }
        _ => false,
    }
}

/// What is wrong with the credentials of a grant: an access token in `field`, and what renews it where it is
/// there. Never a value.
#[must_use]
pub fn problems(credentials: &Value, field: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !credentials.is_object() {
        problems.push("must be an object".to_owned());
    }
    if !credentials.get(field).is_some_and(is_word) {
        problems.push(format!("{field} must be the text of a token"));
    }
    let given = |field: &str| credentials.get(field).filter(|value| !value.is_null());
    if given("refresh_token").is_some_and(|value| !is_word(value)) {
        problems.push("refresh_token must be the text of a token".to_owned());
    }
    for field in ["expires_in", "created_at"] {
        if given(field).is_some_and(|value| !value.is_i64()) {
            problems.push(format!("{field} must be a whole number of seconds"));
        }
    }
    problems
}

/// Whether a value is a text without spaces that can stand in a header.
#[must_use]
pub fn is_word(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()))
}

impl OAuth {
    /// The address where a user consents; `state` comes back with the answer.
    #[must_use]
    pub fn authorise_url(&self, state: &str) -> Url {
        let mut url = self.authorise.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("state", state);
        if let Some(scope) = self.scope {
            url.query_pairs_mut().append_pair("scope", scope);
        }
        url
    }

    /// Turns the code of an answer into tokens.
    ///
    /// # Errors
    /// As [`OAuth::refresh`]; a code that is not taken is [`SourceError::Unauthorised`].
    pub async fn exchange(&self, account: &Account, code: &str, now: Timestamp) -> Result<Grant, SourceError> {
        self.ask(account, &[("grant_type", "authorization_code"), ("code", code)], now).await
    }

    /// Turns a refresh token into new tokens. Many sources take one only once: two processes must never
    /// do this for one account at the same time.
    ///
    /// # Errors
    /// [`SourceError::Unauthorised`]: the token is dead, and the user must connect again. Every other
    /// error: nobody knows whether it was used; asking again shows it.
    pub async fn refresh(&self, account: &Account, now: Timestamp) -> Result<Grant, SourceError> {
        let refresh_token = account.credential("refresh_token");
        self.ask(account, &[("grant_type", "refresh_token"), ("refresh_token", &refresh_token)], now).await
    }

    async fn ask(&self, account: &Account, grant: &[(&str, &str)], now: Timestamp) -> Result<Grant, SourceError> {
        let ours = [
            ("client_id", self.client_id.as_str()),
            ("client_secret", &self.client_secret),
            ("redirect_uri", &self.redirect_uri),
        ];
        let fields: Map<String, Value> =
            grant.iter().chain(&ours).map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let secrets = [grant[1].1, &self.client_secret].map(str::to_owned);
        let request = self.http.post(self.token.clone()).header(ACCEPT, "application/json");
        let request: RequestBuilder = match self.encoding {
            Encoding::Json => request.json(&fields),
            Encoding::Form => request.form(&fields),
        };
        let answer = http::send(self.source_name, account, request).await?.also_hiding(secrets);
        if is_refused(&answer) {
            let detail = answer.said();
            return Err(SourceError::Unauthorised { source_name: self.source_name, detail });
        }
        let answer = answer.success(now, http::wait(60))?;
        let fields: Map<String, Value> = answer.json("an object with an access token")?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let access_token = text("access_token").ok_or_else(|| answer.nonsense("no access_token"))?.to_owned();
        Ok(Grant {
            access_token,
            refresh_token: text("refresh_token").map(str::to_owned),
            expires_in: fields.get("expires_in").and_then(Value::as_i64),
            // Our own clock: what is compared later is compared with it.
            created_at: now.as_second(),
        })
    }
}

/// Whether the grant itself is refused. GitHub says so with status 200, older Trakt with 401
/// (contracts of both).
fn is_refused(answer: &http::Answer) -> bool {
    let error = answer.json::<Map<String, Value>>("an object").ok().and_then(|fields| fields.get("error").cloned());
    let error = error.as_ref().and_then(Value::as_str).unwrap_or_default();
    let dead = ["invalid_grant", "bad_verification_code", "bad_refresh_token"];
    match answer.status().as_u16() {
        200 | 400 | 401 => dead.contains(&error),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oauth() -> OAuth {
        let _already = rustls::crypto::ring::default_provider().install_default();
        OAuth {
            source_name: "test",
            http: Client::new(),
            authorise: "https://test.example/oauth/authorize?lang=en".parse().unwrap(),
            token: "https://test.example/oauth/token".parse().unwrap(),
            encoding: Encoding::Form,
            scope: Some("read-only"),
            client_id: "us".to_owned(),
            client_secret: "s3cret".to_owned(),
            redirect_uri: "https://we.example/oauth/test/callback".to_owned(),
        }
    }

    #[test]
    fn the_address_to_consent_at_names_us_and_carries_the_state() {
        let url = oauth().authorise_url("a b&c");
        let expected = "https://test.example/oauth/authorize?lang=en&response_type=code&client_id=us\
            &redirect_uri=https%3A%2F%2Fwe.example%2Foauth%2Ftest%2Fcallback&state=a+b%26c&scope=read-only";
        assert_eq!(url.as_str(), expected);
        assert!(!format!("{:?}", oauth()).contains("s3cret"));
    }

    #[test]
    fn every_problem_of_a_grant_is_named_and_no_value() {
        let wrong =
            json!({"access_token": "s3cret with spaces", "refresh_token": 5, "expires_in": "soon", "created_at": null});
        let found = problems(&wrong, "access_token").join("; ");
        for field in ["access_token", "refresh_token", "expires_in"] {
            assert!(found.contains(field), "{found}");
        }
        assert!(!found.contains("s3cret") && !found.contains("created_at"), "{found}");
        assert_eq!(problems(&json!({"token": "ghp_0"}), "token"), Vec::<String>::new());
    }

    #[test]
    fn a_token_is_refreshed_while_a_tenth_of_its_life_is_left() {
        let soon = |credentials: Value, second| expires_soon(&credentials, Timestamp::from_second(second).unwrap());
        let credentials = json!({"created_at": 1_000, "expires_in": 100});
        assert!(!soon(credentials.clone(), 1_089));
        assert!(soon(credentials.clone(), 1_090));
        assert!(soon(credentials, 5_000));
        assert!(!soon(json!({"created_at": 1_000}), 5_000));
        assert!(soon(json!({"created_at": 1_000, "expires_in": -1}), 1_000));
    }

    #[test]
    fn new_tokens_replace_the_old_ones_and_nothing_else() {
        let grant = Grant { access_token: "new".into(), refresh_token: None, expires_in: None, created_at: 7 };
        let before = json!({"access_token": "old", "refresh_token": "kept", "expires_in": 5, "plan_id": "p"});
        let after = json!({"access_token": "new", "refresh_token": "kept", "created_at": 7, "plan_id": "p"});
        assert_eq!(grant.renew(&before, "access_token"), after);
        assert!(!format!("{grant:?}").contains("new"));
    }
}
