//! A source tells: whose connection it means, whether it is really the source, and into the stream.

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

use super::Intake;

/// Most connections that one webhook is tried on.
const LISTENERS_MAX: usize = 64;

/// What we did with a webhook.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is in the stream, or the poll that it asks for is due.
    Accepted,
    /// It was taken before.
    Duplicate,
    /// It is signed, and nothing of it counts.
    Ignored,
    /// A knock on the door.
    Ping(Option<Value>),
    /// Nobody is connected whom it could mean.
    Unknown,
    /// Nobody whom it means has signed it.
    Forged,
    /// It is not what the source sends.
    Malformed,
    /// Not now.
    Busy,
    /// The source sends none.
    NoHooks,
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
            Self::Malformed => "malformed",
            Self::Busy => "busy",
        }
    }
}

/// A connection that the webhook may mean.
struct Listener {
    user: UserId,
    documents: User,
    account: Account,
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
        let Ok(topic) = hooks.topic(&delivery) else { return Ok(Verdict::Malformed) };
        let (redis, keys) = (&self.context.redis, &self.context.keys);
        let meant = match (user, &topic) {
            (Some(user), _) => vec![user.clone()],
            (None, Some(topic)) => listeners(redis, keys, source, topic, LISTENERS_MAX).await?,
            (None, None) => listeners(redis, keys, source, "", LISTENERS_MAX).await?,
        };
        let mut verdict = Verdict::Unknown;
        for user in meant {
            let Some(listener) = self.listener(source, user).await? else { continue };
            let secret = hooks.secret(&listener.account.credentials);
            if !secret.is_some_and(|secret| hooks.is_signed(&delivery, secret)) {
                if verdict == Verdict::Unknown {
                    verdict = Verdict::Forged;
                }
                continue;
            }
            let here = self.take_for(source, &listener, hooks, &delivery, now_ms).await?;
            if let Some(topic) = &topic {
                self.learn(source, &listener, topic).await?;
            }
            // What one of them counts is not ignored, even if another one does ignore it.
            if !matches!(verdict, Verdict::Accepted) {
                verdict = here;
            }
        }
        Ok(verdict)
    }

    /// A user's connection; `None` if there is none, or it cannot be opened.
    async fn listener(&self, source: &SourceName, user: UserId) -> Result<Option<Listener>, StoreError> {
        let partition = self.context.partitions.of(&user);
        let (redis, keys) = (&self.context.redis, &self.context.keys);
        let documents = users(redis, keys, partition, std::slice::from_ref(&user)).await?.into_iter().next();
        let documents = documents.unwrap_or_default();
        let Some(connection) = documents.sources.get(source) else { return Ok(None) };
        let opened = self.settings.encryption_key.as_ref().and_then(|sealer| {
            let credentials = sealer.open(&connection.credentials, &format!("{user}/{source}")).ok()?;
            serde_json::from_str(credentials.expose_secret()).ok()
        });
        let account = |credentials| Account { user: user.clone(), credentials };
        Ok(opened.map(account).map(|account| Listener { user, documents, account }))
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
            Taken::Taken => Verdict::Accepted,
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

    /// The next webhook about this topic finds the connection at once.
    async fn learn(&self, source: &SourceName, listener: &Listener, topic: &str) -> Result<(), StoreError> {
        let known = listener.documents.topics.get(source);
        if known.is_some_and(|topics| topics.iter().any(|known| known == topic)) {
            return Ok(());
        }
        let (redis, keys) = (&self.context.redis, &self.context.keys);
        listen(redis, keys, source, &listener.user, &[topic.to_owned()]).await
    }
}
