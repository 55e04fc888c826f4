//! The simulated Exist over real HTTP: it behaves as Exist's documentation and recorded answers say.

#[path = "exist_sim/faults.rs"]
mod faults;
#[path = "exist_sim/limits.rs"]
mod limits;
#[path = "exist_sim/ownership.rs"]
mod ownership;
#[path = "exist_sim/reading.rs"]
mod reading;
#[path = "exist_sim/tokens.rs"]
mod tokens;
#[path = "exist_sim/writing.rs"]
mod writing;

use std::time::Duration;

use loadtest::exist::{ExistConfig, ExistSim, UserSpec};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

/// A simulator at noon UTC on 2026-03-28, its user sam, and a client that does nothing by itself.
struct Bench {
    sim: ExistSim,
    http: Client,
    token: String,
}

impl Bench {
    async fn new() -> Self {
        Self::with(ExistConfig::default(), UserSpec::named("sam")).await
    }

    async fn with(config: ExistConfig, user: UserSpec) -> Self {
        // Err when another test of this process was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sim = ExistSim::start(config).await.unwrap();
        sim.clock().freeze("2026-03-28T12:00:00Z".parse().unwrap());
        let token = user.access_token.clone();
        sim.add_user(user);
        let redirect = reqwest::redirect::Policy::none();
        let http = Client::builder().no_proxy().redirect(redirect).build().unwrap();
        Self { sim, http, token }
    }

    /// Sam owning `keystrokes` (0), `tv_min` (3) and `money_spent` (1).
    async fn owning() -> Self {
        let bench = Self::new().await;
        bench.own().await;
        bench
    }

    async fn own(&self) {
        let items = ["keystrokes", "tv_min", "money_spent"];
        let items: Vec<_> = items.iter().map(|name| json!({"template": name, "manual": false})).collect();
        assert_eq!(self.post("acquire", json!(items)).await.0, 200);
    }

    fn getting(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}/{path}", self.sim.base_url())).bearer_auth(&self.token)
    }

    fn posting(&self, verb: &str, body: &Value) -> RequestBuilder {
        let url = format!("{}/attributes/{verb}/", self.sim.base_url());
        self.http.post(url).bearer_auth(&self.token).json(body)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        read(self.getting(path).send().await.unwrap()).await
    }

    async fn post(&self, verb: &str, body: Value) -> (u16, Value) {
        read(self.posting(verb, &body).send().await.unwrap()).await
    }

    async fn token_call(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let url = format!("{}/access_token", self.sim.oauth_url());
        read(self.http.post(url).form(form).send().await.unwrap()).await
    }

    /// Returns once something shows, and panics if it does not for ten seconds.
    async fn once(&self, holds: impl Fn() -> bool) {
        let shows = self.sim.until(|_| holds());
        tokio::time::timeout(Duration::from_secs(10), shows).await.unwrap();
    }

    /// What sam's attribute holds on a day, as a decimal's digits.
    fn held(&self, name: &str, date: &str) -> Option<String> {
        let key = (name.to_owned(), date.parse().unwrap());
        Some(self.sim.values("sam").get(&key)?.number()?.to_string())
    }

    /// How often a day of sam's was written.
    fn writes(&self, name: &str, date: &str) -> u64 {
        let key = (name.to_owned(), date.parse().unwrap());
        self.sim.writes("sam").get(&key).copied().unwrap_or(0)
    }
}

async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// The code of the only item that failed.
fn code(body: &Value) -> &str {
    assert_eq!(body["failed"].as_array().map(Vec::len), Some(1), "{body}");
    body["failed"][0]["error_code"].as_str().unwrap()
}
