//! Somebody comes back from a consent page: the code becomes tokens, the tokens a connection.

use axum::http::StatusCode;
use event::SourceName;
use jiff::Timestamp;
use serde_json::{Value, json};
use settings::{Sealer, SecretString};
use source::{Account, OAuth, Source, SourceError};
use store::{
    operate,
    user::{About, Connected, ExistConnection, SourceConnection, User, document, field, users},
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
        let (fields, sources) = match grant.source() {
            None if peer == EXIST => {
                let oauth = self.exist.as_ref().ok_or_else(again)?;
                let tokens = exchange(oauth, &account, code, now, "access_token").await?;
                (vec![(field::EXIST.to_owned(), document(&exist_connection(&tokens, &grant, sealer)))], Vec::new())
            }
            None => return Err(again()),
            Some(name) => {
                let source = self.sources.get(&name).ok_or_else(again)?;
                let connection = self.connection(&name, source.as_ref(), &account, &grant, code, now, sealer).await?;
                (vec![(field::source(&name), document(&connection))], vec![name])
            }
        };
        self.store(&grant, fields, &sources).await.map_err(|error| ours(&error))?;
        info!("{} connected {peer}", grant.user);
        Ok(format!("{peer} is connected. You can close this page."))
    }

    /// A source's connection with fresh tokens.
    #[allow(clippy::too_many_arguments, reason = "all of it is one step's, and used once")]
    async fn connection(
        &self,
        name: &SourceName,
        source: &dyn Source,
        account: &Account,
        grant: &Grant,
        code: &str,
        now: Timestamp,
        sealer: &Sealer,
    ) -> Result<SourceConnection, Refused> {
        let peer = name.as_str();
        let oauth = source.oauth().ok_or_else(|| refused("Nobody can be connected to it like this."))?;
        let credentials = exchange(oauth, account, code, now, source.token_field()).await?;
        let account = Account { credentials, ..account.clone() };
        let credentials = source.complete(&account, now).await.map_err(|failed| theirs(peer, &failed))?;
        if let Err(problems) = source.check_credentials(&credentials) {
            return Err(refused(&format!("{peer} is not connected: {problems}")));
        }
        let sealed = sealer.seal(&SecretString::from(credentials.to_string()), &format!("{}/{name}", grant.user));
        let rules = grant.rules.clone();
        Ok(SourceConnection { connected: Connected::On, credentials: sealed, rules, last_chance: false })
    }

    /// Writes the connection as an import would, and enters its topics.
    async fn store(
        &self,
        grant: &Grant,
        mut fields: Vec<(String, String)>,
        sources: &[SourceName],
    ) -> Result<(), store::StoreError> {
        let (redis, keys, user) = (&self.context.redis, &self.context.keys, &grant.user);
        let partition = self.context.partitions.of(user);
        let before = users(redis, keys, partition, std::slice::from_ref(user)).await?.into_iter().next();
        let before: User = before.unwrap_or_default();
        if !before.exists() {
            fields.push((field::ABOUT.to_owned(), document(&About { timezone: None })));
        }
        let mut attributes = before.attributes.clone();
        attributes.extend(grant.attributes.clone());
        fields.push((field::ATTRIBUTES.to_owned(), document(&attributes)));
        for name in sources {
            let Some(hooks) = self.sources.get(name).and_then(|source| source.hooks()) else { continue };
            let topics = hooks.topics(&grant.credentials);
            store::intake::listen(redis, keys, name, user, &topics).await?;
            fields.push((field::topics(name), document(&topics)));
        }
        let removed = [field::ATTRIBUTE_STATES.to_owned()];
        operate::connect(redis, keys, partition, user, &fields, &removed, sources).await
    }
}

async fn exchange(oauth: &OAuth, account: &Account, code: &str, now: Timestamp, token: &str) -> Result<Value, Refused> {
    let grant = oauth.exchange(account, code, now).await.map_err(|failed| theirs(oauth.source_name, &failed))?;
    Ok(grant.renew(&account.credentials, token))
}

fn exist_connection(tokens: &Value, grant: &Grant, sealer: &Sealer) -> ExistConnection {
    let seal = |field: &str| {
        let token = tokens.get(field).and_then(Value::as_str)?;
        Some(sealer.seal(&SecretString::from(token.to_owned()), &format!("{}/exist", grant.user)))
    };
    let number = |field: &str| tokens.get(field).and_then(Value::as_i64);
    ExistConnection {
        connected: Connected::On,
        access_token: seal("access_token").unwrap_or_default(),
        refresh_token: seal("refresh_token"),
        expires_at: number("created_at").zip(number("expires_in")).map(|(at, lives)| at.saturating_add(lives)),
        adopt: grant.credentials.get("adopt") == Some(&json!(true)),
        last_chance: false,
    }
}
