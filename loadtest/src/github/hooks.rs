//! What GitHub sends by itself: signed, once, whatever comes of it.

use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::mpsc;

use super::{Comment, Commit, Issue, Member, PullRequest, objects::account};

/// Where a repository's events go.
#[derive(Clone)]
pub struct Hook {
    /// The address.
    pub url: String,
    /// Signs them.
    pub secret: String,
    /// The body is a form.
    pub form_encoded: bool,
}

/// The secret is as secret here as anywhere.
impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What came of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its id.
    pub id: String,
    /// `issues`, `push`, …
    pub event: String,
    /// The answer's status; none if there was no answer.
    pub status: Option<u16>,
}

pub(super) enum Event<'a> {
    Issue(&'static str, &'a Issue),
    Comment(&'static str, &'a Comment),
    Pull(&'static str, &'a PullRequest),
    Push(&'a str, &'a [Commit]),
}

#[derive(Clone)]
struct Message {
    hook: Hook,
    id: String,
    event: &'static str,
    body: Vec<u8>,
}

/// Sends webhooks one after the other.
#[derive(Debug)]
pub(super) struct Sender {
    queue: mpsc::UnboundedSender<Message>,
    sent: Arc<Mutex<Vec<Message>>>,
    delivered: Arc<Mutex<Vec<Delivered>>>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Sender {
    pub(super) fn start() -> Sender {
        let (queue, mut waiting) = mpsc::unbounded_channel::<Message>();
        let delivered = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&delivered);
        tokio::spawn(async move {
            // Somebody may have installed one already.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let http = reqwest::Client::new();
            while let Some(message) = waiting.recv().await {
                let status = deliver(&http, &message).await;
                let (id, event) = (message.id, message.event.to_owned());
                log.lock().unwrap_or_else(PoisonError::into_inner).push(Delivered { id, event, status });
            }
        });
        Sender { queue, sent: Arc::default(), delivered }
    }

    pub(super) fn send(&self, hook: &Hook, full_name: &str, repository: i64, by: &Member, event: &Event<'_>) {
        let (name, mut body) = event.body();
        body["repository"] = json!({"id": repository, "full_name": full_name, "private": true});
        body["sender"] = account(by);
        let json = body.to_string();
        let body = if hook.form_encoded {
            url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &json).finish()
        } else {
            json
        };
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let id = format!("72d3162e-cc78-11e3-81ab-{:012}", sent.len());
        let message = Message { hook: hook.clone(), id, event: name, body: body.into_bytes() };
        sent.push(message.clone());
        // Nobody listens any more only when the simulator is gone.
        let _ = self.queue.send(message);
    }

    pub(super) fn redeliver(&self, id: &str) {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(message) = sent.iter().find(|message| message.id == id) {
            let _ = self.queue.send(message.clone());
        }
    }

    pub(super) fn delivered(&self) -> Vec<Delivered> {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn deliver(http: &reqwest::Client, message: &Message) -> Option<u16> {
    let mut mac = Hmac::<Sha256>::new_from_slice(message.hook.secret.as_bytes()).expect("a key of any length");
    mac.update(&message.body);
    let kind = if message.hook.form_encoded { "application/x-www-form-urlencoded" } else { "application/json" };
    let request = http
        .post(&message.hook.url)
        .timeout(std::time::Duration::from_secs(10))
        .header("user-agent", "GitHub-Hookshot/044aadd")
        .header("content-type", kind)
        .header("x-github-event", message.event)
        .header("x-github-delivery", &message.id)
        .header("x-hub-signature-256", format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
        .body(message.body.clone());
    Some(request.send().await.ok()?.status().as_u16())
}

impl Event<'_> {
    fn body(&self) -> (&'static str, Value) {
        match self {
            Event::Issue(action, issue) => ("issues", json!({"action": action, "issue": issue.row()})),
            Event::Comment(action, comment) => {
                ("issue_comment", json!({"action": action, "issue": {"id": comment.issue}, "comment": comment.row()}))
            }
            Event::Pull(action, pull) => {
                let mut row = pull.row();
                row["merged"] = json!(pull.merged_at.is_some());
                ("pull_request", json!({"action": action, "number": pull.number, "pull_request": row}))
            }
            Event::Push(branch, commits) => {
                let head = commits.last().map(Commit::pushed);
                let after = commits.last().map_or("0".repeat(40), |commit| commit.sha.clone());
                let commits: Vec<Value> = commits.iter().map(Commit::pushed).collect();
                (
                    "push",
                    json!({"ref": format!("refs/heads/{branch}"), "before": "0".repeat(40), "after": after, "created": false,
                    "deleted": false, "forced": false, "base_ref": null, "commits": commits, "head_commit": head}),
                )
            }
        }
    }
}
