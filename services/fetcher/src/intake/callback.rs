//! Somebody comes back from a consent page: the code becomes tokens, the tokens a connection.

use axum::http::StatusCode;
use event::{SourceName, UserId};
use jiff::Timestamp;
use serde_json::Value;
use settings::{Sealer, SecretString};
use source::{Account, OAuth, Source, SourceError};
use store::{
    StoreError,
    intake::{listen_instead, listen_no_more},
    operate,
    user::{
        About, Adopt, Connected, ExistConnection, RecountAsked, SourceConnection, User, changed_rules, document, field,
        users,
    },
};
use tracing::{info, warn};

use super::{CameBack, Intake};
use crate::grant::{EXIST, Grant};

/// Why nothing was connected, for the person who looks at the page. Holds nothing secret.
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) said: String,
}

fn refused(said: &str) -> Refused {
    Refused { status: StatusCode::BAD_REQUEST, said: said.to_owned() }
}

/// Something of ours that may work the next time.
fn ours(error: &dyn std::error::Error) -> Refused {
    warn!(error = telemetry::chain(error), "somebody who consented could not be connected");
    Refused { status: StatusCode::BAD_GATEWAY, said: "Something went wrong. Please start again.".to_owned() }
}

fn theirs(peer: &str, failed: &SourceError) -> Refused {
    warn!(error = telemetry::chain(failed), "{peer} did not connect somebody who consented");
    Refused { status: StatusCode::BAD_GATEWAY, said: format!("{peer} did not connect you. Please start again.") }
}

impl Intake {
    /// Connects whoever comes back. Returns what to tell them.
    pub(super) async fn came_back(&self, peer: &str, back: &CameBack) -> Result<String, Refused> {
        let again = || refused("This address works once and for ten minutes. Please start again.");
        let Some(sealer) = &self.settings.encryption_key else { return Err(again()) };
        let state = back.state.as_deref().ok_or_else(again)?;
        let (redis, keys) = (&self.context.redis, &self.context.keys);
        let grant = Grant::take(redis, keys, sealer, state).await;
        let grant =
            grant.map_err(|error| ours(error.as_ref()))?.filter(|grant| grant.peer == peer).ok_or_else(again)?;
        if let Some(error) = &back.error {
            return Err(refused(&format!("{peer} says: {error}. Nothing was connected.")));
        }
        let code = back.code.as_deref().ok_or_else(again)?;
        let now_ms = operate::now_ms(redis).await.map_err(|error| ours(&error))?;
        let now = Timestamp::from_millisecond(i64::try_from(now_ms).unwrap_or(0)).unwrap_or_default();
        let account = Account { user: grant.user.clone(), credentials: grant.credentials.clone() };
        match grant.source() {
            None if peer == EXIST => {
                let oauth = self.exist.as_ref().ok_or_else(again)?;
                let tokens = exchange(oauth, &account, code, now, "access_token").await?;
                self.store_exist(&grant, &tokens, sealer).await
            }
            None => return Err(again()),
            Some(name) => {
                let source = self.sources.get(&name).ok_or_else(again)?.as_ref();
                let credentials = credentials(source, &account, code, now).await?;
                self.store_source(&grant, &name, source, &credentials, sealer).await
            }
        }
        .map_err(|error| ours(&error))?;
        info!("{} connected {peer}", grant.user);
        Ok(format!("{peer} is connected. You can close this page."))
    }

    /// Writes the connection to Exist. What was adopted stays adopted: that is about what stands in Exist.
    async fn store_exist(&self, grant: &Grant, tokens: &Value, sealer: &Sealer) -> Result<(), StoreError> {
        let before = self.before(&grant.user).await?;
        let adopt = before.exist.as_ref().map(|exist| exist.adopt).unwrap_or_default();
        let exist = exist_connection(tokens, &grant.user, adopt, sealer);
        self.store(grant, &before, vec![(field::EXIST.to_owned(), document(&exist))], Vec::new(), &[]).await
    }

    /// Writes the connection to a source as an import would: it is due, its topics are known, and other rules
    /// have its window counted anew.
    async fn store_source(
        &self,
        grant: &Grant,
        name: &SourceName,
        source: &dyn Source,
        credentials: &Value,
        sealer: &Sealer,
    ) -> Result<(), StoreError> {
        let (user, before) = (&grant.user, self.before(&grant.user).await?);
        let sealed = sealer.seal(&SecretString::from(credentials.to_string()), &format!("{user}/{name}"));
        let rules = grant.rules.clone();
        let connection = SourceConnection { connected: Connected::On, credentials: sealed, rules, last_chance: false };
        let (mut fields, mut removed) = (vec![(field::source(name), document(&connection))], Vec::new());
        if let Some(why) = before.sources.get(name).and_then(|old| changed_rules(&old.rules, &grant.rules)) {
            fields.push((field::recount(name), document(&RecountAsked { from: None, why })));
        }
        let (redis, keys) = (&self.context.redis, &self.context.keys);
        let had = before.topics.get(name).map(Vec::as_slice);
        let hooks = source.hooks().filter(|hooks| hooks.secret(credentials).is_some());
        match (hooks.map(|hooks| hooks.topics(credentials)), had) {
            (Some(topics), had) => {
                listen_instead(redis, keys, name, user, had.unwrap_or_default(), &topics).await?;
                fields.push((field::topics(name), document(&topics)));
            }
            (None, Some(had)) => {
                listen_no_more(redis, keys, name, user, had).await?;
                removed.push(field::topics(name));
            }
            (None, None) => {}
        }
        self.store(grant, &before, fields, removed, std::slice::from_ref(name)).await
    }

    async fn before(&self, user: &UserId) -> Result<User, StoreError> {
        let (redis, keys, partition) = (&self.context.redis, &self.context.keys, self.context.partitions.of(user));
        let before = users(redis, keys, partition, std::slice::from_ref(user)).await?;
        Ok(before.into_iter().next().unwrap_or_default())
    }

    async fn store(
        &self,
        grant: &Grant,
        before: &User,
        mut fields: Vec<(String, String)>,
        mut removed: Vec<String>,
        sources: &[SourceName],
    ) -> Result<(), StoreError> {
        if !before.exists() {
            fields.push((field::ABOUT.to_owned(), document(&About { timezone: None })));
        }
        let mut attributes = before.attributes.clone();
        attributes.extend(grant.attributes.clone());
        fields.push((field::ATTRIBUTES.to_owned(), document(&attributes)));
        // What Exist refused may be allowed by now.
        removed.push(field::ATTRIBUTE_STATES.to_owned());
        let partition = self.context.partitions.of(&grant.user);
        let (redis, keys) = (&self.context.redis, &self.context.keys);
        operate::connect(redis, keys, partition, &grant.user, &fields, &removed, sources).await
    }
}

/// A source's credentials with fresh tokens, completed by what the source itself tells.
async fn credentials(source: &dyn Source, account: &Account, code: &str, now: Timestamp) -> Result<Value, Refused> {
    let oauth = source.oauth().ok_or_else(|| refused("Nobody can be connected to it like this."))?;
    let credentials = exchange(oauth, account, code, now, source.token_field()).await?;
    let account = Account { credentials, ..account.clone() };
    let peer = oauth.source_name;
    let credentials = source.complete(&account, now).await.map_err(|failed| theirs(peer, &failed))?;
    match source.check_credentials(&credentials) {
        Ok(()) => Ok(credentials),
        Err(problems) => Err(refused(&format!("{peer} is not connected: {problems}"))),
    }
}

async fn exchange(oauth: &OAuth, account: &Account, code: &str, now: Timestamp, token: &str) -> Result<Value, Refused> {
    let grant = oauth.exchange(account, code, now).await.map_err(|failed| theirs(oauth.source_name, &failed))?;
    Ok(grant.renew(&account.credentials, token))
}

fn exist_connection(tokens: &Value, user: &UserId, adopt: Adopt, sealer: &Sealer) -> ExistConnection {
    let seal = |field: &str| {
        let token = tokens.get(field).and_then(Value::as_str)?;
        Some(sealer.seal(&SecretString::from(token.to_owned()), &format!("{user}/exist")))
    };
    let number = |field: &str| tokens.get(field).and_then(Value::as_i64);
    ExistConnection {
        connected: Connected::On,
        access_token: seal("access_token").unwrap_or_default(),
        refresh_token: seal("refresh_token"),
        expires_at: number("created_at").zip(number("expires_in")).map(|(at, lives)| at.saturating_add(lives)),
        adopt,
        last_chance: false,
    }
}
