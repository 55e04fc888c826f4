//! A source tells: whose connection it means, whether it is really the source, and into the stream.

use axum::http::StatusCode;
use event::{Origin, RawEvent, SourceName, UserId};
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::Value;
use settings::ExposeSecret;
use source::{
    Account, Hint, Hooks, Row,
    hooks::{Delivery, Hooked},
};
use store::{
    StoreError,
    intake::{Taken, Webhook, listen, listeners, take},
    operate,
    user::{User, users},
};

use telemetry::counter;
use tracing::error;

use super::{Intake, body::Unread};

/// Most connections that one webhook is tried on.
const LISTENERS_MAX: usize = 64;

/// What we did with a webhook. Of several connections that it means, the last of these counts.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// The source sends none.
    NoHooks,
    /// More than we take.
    TooLarge,
    /// It did not come whole, or not soon enough.
    Incomplete,
    /// It does not say whom it means.
    Unreadable,
    /// Nobody is connected whom it could mean.
    Unknown,
    /// Nobody whom it means has signed it.
    Forged,
    /// Not now.
    Busy,
    /// It is signed, and not what the source sends.
    Malformed,
    /// It is signed, and nothing of it counts.
    Ignored,
    /// It was taken before.
    Duplicate,
    /// A knock on the door.
    Ping(Option<Value>),
    /// It is in the stream, or the poll that it asks for is due.
    Accepted,
}

impl Verdict {
    /// As the metric names it.
    pub(super) const fn outcome(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Ignored | Self::Ping(_) => "ignored",
            Self::Unknown | Self::NoHooks => "unknown",
            Self::Forged => "forged",
            Self::Malformed | Self::Unreadable => "malformed",
            Self::Busy => "busy",
            Self::TooLarge => "too_large",
            Self::Incomplete => "incomplete",
        }
    }

    /// As the source hears it: anything but 2xx may make it send again, or switch its webhook off.
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Ping(_) => StatusCode::OK,
            Self::Accepted | Self::Duplicate | Self::Ignored | Self::Unknown => StatusCode::ACCEPTED,
            Self::NoHooks => StatusCode::NOT_FOUND,
            Self::Forged => StatusCode::UNAUTHORIZED,
            Self::Unreadable => StatusCode::BAD_REQUEST,
            Self::Malformed => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Incomplete => StatusCode::REQUEST_TIMEOUT,
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::NoHooks | Self::TooLarge | Self::Incomplete | Self::Unreadable => 0,
            Self::Unknown => 1,
            Self::Forged => 2,
            Self::Busy => 3,
            Self::Malformed => 4,
            Self::Ignored => 5,
            Self::Duplicate => 6,
            Self::Ping(_) => 7,
            Self::Accepted => 8,
        }
    }

    /// What counts of two.
    fn or(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }
}

impl From<Unread> for Verdict {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => Self::TooLarge,
            Unread::Incomplete => Self::Incomplete,
            Unread::NoRoom => Self::Busy,
        }
    }
}

/// A connection that the webhook may mean.
struct Listener {
    user: UserId,
    documents: User,
    account: Account,
}

/// Who is found under a name.
enum Found {
    /// Nobody who is connected to the source.
    Nobody,
    /// Somebody whose credentials our keys do not open: an operator's mistake.
    Unopened,
    Listener(Box<Listener>),
}

impl Intake {
    /// Takes a webhook in, for every connection that it means and whose secret signed it.
    pub(super) async fn take(
        &self,
        source: &SourceName,
        user: Option<&UserId>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Verdict, StoreError> {
        let Some(hooks) = self.sources.get(source).and_then(|source| source.hooks()) else {
            return Ok(Verdict::NoHooks);
        };
        if self.is_full().await? {
            return Ok(Verdict::Busy);
        }
        let now_ms = operate::now_ms(&self.context.redis).await?;
        let now = Timestamp::from_millisecond(i64::try_from(now_ms).unwrap_or(0)).unwrap_or_default();
        let delivery = Delivery { headers, body, now };
        let topic = hooks.topic(&delivery);
        let (redis, keys) = (&self.context.redis, &self.context.keys);
        let meant = match (user, &topic) {
            (Some(user), _) => vec![user.clone()],
            (None, Ok(topic)) => {
                listeners(redis, keys, source, topic.as_deref().unwrap_or_default(), LISTENERS_MAX).await?
            }
            (None, Err(_)) => return Ok(Verdict::Unreadable),
        };
        let mut verdict = Verdict::Unknown;
        for user in meant {
            let here = match self.found(source, user).await? {
                Found::Nobody => Verdict::Unknown,
                Found::Unopened => Verdict::Busy,
                Found::Listener(listener) => {
                    let secret = hooks.secret(&listener.account.credentials);
                    if secret.is_some_and(|secret| hooks.is_signed(&delivery, secret)) {
                        if let Ok(Some(topic)) = &topic {
                            self.learn(source, &listener, hooks, topic).await?;
                        }
                        self.take_for(source, &listener, hooks, &delivery, now_ms).await?
                    } else {
                        Verdict::Forged
                    }
                }
            };
            verdict = verdict.or(here);
        }
        Ok(verdict)
    }

    async fn found(&self, source: &SourceName, user: UserId) -> Result<Found, StoreError> {
        let partition = self.context.partitions.of(&user);
        let (redis, keys) = (&self.context.redis, &self.context.keys);
        let documents = users(redis, keys, partition, std::slice::from_ref(&user)).await?.into_iter().next();
        let documents = documents.unwrap_or_default();
        let Some(connection) = documents.sources.get(source) else { return Ok(Found::Nobody) };
        let Some(sealer) = &self.settings.encryption_key else { return Ok(Found::Unopened) };
        let opened = match sealer.open(&connection.credentials, &format!("{user}/{source}")) {
            Ok(opened) => opened,
            Err(failed) => {
                error!(error = telemetry::chain(&failed), "credentials for a webhook of {source} cannot be opened");
                return Ok(Found::Unopened);
            }
        };
        let Ok(credentials) = serde_json::from_str(opened.expose_secret()) else { return Ok(Found::Unopened) };
        let account = Account { user: user.clone(), credentials };
        Ok(Found::Listener(Box::new(Listener { user, documents, account })))
    }

    async fn take_for(
        &self,
        source: &SourceName,
        listener: &Listener,
        hooks: &dyn Hooks,
        delivery: &Delivery<'_>,
        now_ms: u64,
    ) -> Result<Verdict, StoreError> {
        let (rows, hint) = match hooks.take(delivery, &listener.account) {
            Ok(Hooked::Records { rows, hint }) => (rows, hint),
            Ok(Hooked::Ping(answer)) => return Ok(Verdict::Ping(answer)),
            Ok(Hooked::Nothing) => return Ok(Verdict::Ignored),
            Err(_) => return Ok(Verdict::Malformed),
        };
        let events: Vec<RawEvent> = rows.into_iter().map(|row| self.event(source, listener, row, now_ms)).collect();
        let id = hooks.delivery_id(delivery);
        let webhook = Webhook {
            user: &listener.user,
            source,
            delivery: id.as_deref(),
            hint: match hint {
                Hint::None => "",
                Hint::Recent => "recent",
                Hint::Window => "window",
            },
            events: &events,
        };
        let partition = self.context.partitions.of(&listener.user);
        let (redis, keys) = (&self.context.redis, &self.context.keys);
        Ok(match take(redis, keys, partition, &webhook, now_ms, self.settings.retention).await? {
            Taken::Taken => {
                let appended = u64::try_from(events.len()).unwrap_or(0);
                counter!(ENTRIES_APPENDED, stage = "fetch", source = source.to_string()).increment(appended);
                Verdict::Accepted
            }
            Taken::Duplicate => Verdict::Duplicate,
            Taken::Gone => Verdict::Unknown,
        })
    }

    fn event(&self, source: &SourceName, listener: &Listener, row: Row, now_ms: u64) -> RawEvent {
        // A record seen before is one that we may have forgotten, but not before we could forget anything.
        let first_ok_at_ms = listener.documents.polled.get(source).map_or(0, |polled| polled.first_ok_at_ms);
        let retention_ms = u64::try_from(self.settings.retention.as_millis()).unwrap_or(u64::MAX);
        let may_forget = first_ok_at_ms > 0 && now_ms.saturating_sub(first_ok_at_ms) >= retention_ms;
        RawEvent {
            user: listener.user.clone(),
            source: source.clone(),
            content: row.content(),
            external_id: row.external_id,
            version: row.version,
            kind: row.kind,
            origin: Origin::Webhook,
            seen_before: row.seen_before && may_forget,
            read_at_ms: i64::try_from(now_ms).unwrap_or(0),
            payload: row.payload,
            problem: row.problem,
            replay_of: None,
        }
    }

    /// The next webhook about this topic finds the connection at once, if it names none by itself.
    async fn learn(
        &self,
        source: &SourceName,
        listener: &Listener,
        hooks: &dyn Hooks,
        topic: &str,
    ) -> Result<(), StoreError> {
        if !hooks.topics(&listener.account.credentials).is_empty() {
            return Ok(());
        }
        let (redis, keys) = (&self.context.redis, &self.context.keys);
        listen(redis, keys, source, &listener.user, &[topic.to_owned()]).await
    }
}
