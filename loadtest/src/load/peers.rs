//! The simulated sources: who has an account there, what stands there, and what they tell by webhook.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Context, Result};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::{
    source::Source,
    stream::{State, Telling},
    truth::{Standing, Truth},
};
use crate::{
    fleet::FleetBuilder,
    github::{GithubSim, Issue, Member},
    toggl::{TogglAccount, TogglConfig, TogglSim},
    trakt::{TraktConfig, TraktSim},
    world::Mapping,
};

/// How often a source without webhooks is polled.
const POLL_EVERY: &str = "5s";

/// The sources of a run.
pub(crate) struct Peers {
    /// Those that people are connected to.
    sources: BTreeSet<Source>,
    pub(crate) toggl: TogglSim,
    github: GithubSim,
    trakt: TraktSim,
    truth: Arc<Truth>,
    names: Arc<Vec<String>>,
    filler: String,
}

/// A webhook, signed.
#[derive(Clone)]
pub(crate) struct Webhook {
    pub(crate) source: Source,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// Numeric id at the sources.
pub(crate) fn user_id(person: usize) -> i64 {
    1_000_000 + i64::try_from(person).expect("at most 100,000 people")
}

fn secret(name: &str) -> String {
    format!("hush-{name}")
}

fn repository(name: &str) -> String {
    format!("{name}/work")
}

fn member(name: &str, person: usize) -> Member {
    Member { login: format!("{name}-codes"), user_id: user_id(person) }
}

impl Peers {
    /// Starts them on the threads of whoever awaits this; everybody has an account, and nothing stands there.
    pub(crate) async fn start(
        sources: BTreeSet<Source>,
        toggl: TogglConfig,
        truth: Arc<Truth>,
        names: Arc<Vec<String>>,
        timezones: Vec<String>,
        filler_bytes: usize,
    ) -> Result<Peers> {
        let toggl = TogglSim::start(toggl).await.context("starting the simulated Toggl Track")?;
        let github = GithubSim::start().await.context("starting the simulated GitHub")?;
        let trakt = TraktSim::start(TraktConfig::default()).await.context("starting the simulated Trakt")?;
        for (person, (name, timezone)) in names.iter().zip(timezones).enumerate() {
            toggl.add_account(TogglAccount {
                name: name.clone(),
                user_id: user_id(person),
                api_token: format!("toggl-token-of-{name}"),
                timezone,
            });
            if sources.contains(&Source::Github) {
                github.add_account(name, member(name, person), &format!("github-token-of-{name}"));
                github.add_repository(&repository(name));
            }
            if sources.contains(&Source::Trakt) {
                trakt.add_account(name, &format!("trakt-access-of-{name}"), &format!("trakt-refresh-of-{name}"));
            }
        }
        Ok(Peers { sources, toggl, github, trakt, truth, names, filler: "x".repeat(filler_bytes) })
    }

    /// Points processes here.
    pub(crate) fn settings(&self, builder: FleetBuilder) -> FleetBuilder {
        builder
            .setting("TRIBUTARY_GITHUB_API_URL", self.github.api_url())
            .setting("TRIBUTARY_GITHUB_POLL_INTERVAL", "1h")
            .setting("TRIBUTARY_TRAKT_API_URL", self.trakt.api_url())
            .setting("TRIBUTARY_TRAKT_OAUTH_URL", self.trakt.oauth_url())
            .setting("TRIBUTARY_TRAKT_CLIENT_ID", "trakt-application")
            .setting("TRIBUTARY_TRAKT_CLIENT_SECRET", "trakt-application-secret")
            .setting("TRIBUTARY_TRAKT_POLL_INTERVAL", POLL_EVERY)
    }

    /// Somebody's connections, as an import has them.
    pub(crate) fn connections(&self, person: usize, now_s: i64) -> Value {
        let name = &self.names[person];
        let connection = |source: &Source| {
            let of_source = |mapping: &&Mapping| mapping.source() == source.name();
            let map: Map<String, Value> = (self.truth.mappings(person).iter().filter(of_source))
                .map(|mapping| (mapping.attribute.clone(), mapping.setting()))
                .collect();
            let credentials = match source {
                Source::Toggl => json!({
                    "api_token": format!("toggl-token-of-{name}"), "webhook_secret": secret(name),
                    "webhook_subscriptions": [person + 1], "user_id": user_id(person),
                }),
                Source::Github => json!({
                    "token": format!("github-token-of-{name}"), "login": member(name, person).login,
                    "user_id": user_id(person), "repositories": [repository(name)], "webhook_secret": secret(name),
                }),
                Source::Trakt => json!({
                    "access_token": format!("trakt-access-of-{name}"),
                    "refresh_token": format!("trakt-refresh-of-{name}"), "expires_in": 604_800, "created_at": now_s,
                }),
            };
            json!({"source": source.name(), "credentials": credentials, "settings": {"map": map}})
        };
        Value::Array(self.sources.iter().map(connection).collect())
    }

    /// The source holds the record as it is told; an older version leaves it as it is.
    pub(crate) fn put(&self, telling: &Telling) {
        let person = place(telling);
        let name = &self.names[person];
        match (telling.source, telling.state) {
            (Source::Toggl, State::Broken) => self.toggl.put_unreadable(name, self.truth.entry(telling)),
            (Source::Toggl, _) => self.toggl.put(name, self.truth.entry(telling)),
            (Source::Github, State::Gone) => self.github.remove_issue(&repository(name), self.issue(telling).id),
            (Source::Github, _) => self.github.put_issue(&repository(name), self.issue(telling)),
            (Source::Trakt, State::Gone) => drop(self.trakt.remove(name, self.truth.play(telling).id)),
            (Source::Trakt, _) => self.trakt.put(name, self.truth.play(telling)),
        }
    }

    /// What its source sends of a telling; none if it sends nothing.
    pub(crate) fn webhook(&self, telling: &Telling, standing: Standing, event: usize) -> Option<Webhook> {
        let person = place(telling);
        let name = &self.names[person];
        let source = telling.source;
        let (body, mut headers) = match source {
            Source::Toggl => (self.toggl_body(telling, standing, event), Vec::new()),
            Source::Github => (self.github_body(telling, standing), github_headers(event)),
            Source::Trakt => return None,
        };
        let body = body.to_string();
        let signature = format!("sha256={}", sign(&secret(name), body.as_bytes()));
        let signed = if source == Source::Toggl { "x-webhook-signature-256" } else { "x-hub-signature-256" };
        headers.push((signed, signature));
        Some(Webhook { source, headers, body })
    }

    /// As Toggl Track sends it: <https://engineering.toggl.com/docs/webhooks_start/>.
    fn toggl_body(&self, telling: &Telling, standing: Standing, event: usize) -> Value {
        let (person, entry) = (place(telling), self.truth.entry(telling));
        let (user, workspace) = (user_id(person), user_id(person) + 1_000_000);
        let duration = entry.stop.map_or(-1, |stop| stop.duration_since(entry.start).as_secs());
        let mut payload = json!({
            "id": entry.id, "workspace_id": workspace, "project_id": null, "start": entry.start.to_string(),
            "stop": entry.stop.map(|stop| stop.to_string()), "duration": duration, "tags": entry.tags,
            "description": self.filler, "at": entry.at.to_string(),
            "server_deleted_at": entry.deleted_at.map(|at| at.to_string()), "user_id": user, "wid": workspace,
        });
        if telling.state == State::Broken {
            payload["start"] = json!({"unexpected": true});
        }
        let action = match (telling.state, standing) {
            (State::Gone, _) => "deleted",
            (_, Standing::First) => "created",
            _ => "updated",
        };
        json!({
            "event_id": event, "subscription_id": person + 1, "creator_id": user, "created_at": entry.at.to_string(),
            "metadata": {"action": action, "model": "time_entry", "time_entry_id": entry.id.to_string()},
            "payload": payload,
        })
    }

    /// As GitHub sends it: <https://docs.github.com/en/webhooks/webhook-events-and-payloads#issues>.
    fn github_body(&self, telling: &Telling, standing: Standing) -> Value {
        let name = &self.names[place(telling)];
        let action = match (telling.state, standing) {
            (State::Gone, _) => "deleted",
            (_, Standing::First) => "opened",
            _ => "edited",
        };
        let mut body = self.issue(telling).told(action);
        body["issue"]["body"] = json!(self.filler);
        body["repository"] = json!({"id": 186_000_000, "full_name": repository(name), "private": true});
        body["sender"] = json!({"login": member(name, place(telling)).login, "id": user_id(place(telling))});
        body
    }

    fn issue(&self, telling: &Telling) -> Issue {
        let name = &self.names[place(telling)];
        self.truth.issue(telling, member(name, place(telling)))
    }
}

/// Each delivery has an id of its own, that of something told again too: what is found out then is the record's.
fn github_headers(event: usize) -> Vec<(&'static str, String)> {
    vec![("x-github-event", "issues".to_owned()), ("x-github-delivery", format!("load-{event}"))]
}

fn place(telling: &Telling) -> usize {
    usize::try_from(telling.person).expect("a place in a list")
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length of key will do");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}
