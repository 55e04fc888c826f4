//! Somebody on the way to a consent page, and what they are about.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use event::{AttributeName, SourceName, UserId};
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use settings::{ExposeSecret, Sealer, SecretString, Settings};
use sha2::{Digest, Sha256};
use source::{OAuth, RulesByAttribute, oauth::Encoding};
use store::{Keys, Redis, intake, user::Attribute};

/// How long somebody may take to consent.
pub const GRANT_LIVES: Duration = Duration::from_secs(600);

/// How long Exist may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What we ask Exist for: to write each group we have attributes for, and to read back what is there.
/// Source: <https://developer.exist.io/reference/authentication/oauth2/>
const EXIST_SCOPES: &str = "activity_write productivity_write media_write finance_write workouts_write health_write custom_write \
    activity_read productivity_read media_read finance_read custom_read";

/// Exist, or a source.
pub const EXIST: &str = "exist";

/// What a consent is for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    /// Who consents.
    pub user: UserId,
    /// `exist`, or a source's name.
    pub peer: String,
    /// The credentials so far, to which the tokens are added. Empty for Exist.
    pub credentials: Value,
    /// The connection's rules; empty for Exist.
    pub rules: RulesByAttribute,
    /// The attributes that the rules feed.
    pub attributes: BTreeMap<AttributeName, Attribute>,
}

impl Grant {
    /// The source it is for; `None` for Exist.
    #[must_use]
    pub fn source(&self) -> Option<SourceName> {
        SourceName::try_new(&self.peer).ok().filter(|_| self.peer != EXIST)
    }

    /// Remembers the grant and returns the address at which the user consents.
    ///
    /// # Errors
    /// Redis does not answer.
    pub async fn begin(&self, redis: &Redis, keys: &Keys, sealer: &Sealer, oauth: &OAuth) -> anyhow::Result<String> {
        let mut bits = [0u8; 16];
        rand::rng().fill_bytes(&mut bits);
        let state = hex::encode(bits);
        let text = SecretString::from(serde_json::to_string(self).context("writing down a grant")?);
        let hash = hash(&state);
        intake::remember_grant(redis, keys, &hash, &sealer.seal(&text, &hash), GRANT_LIVES).await?;
        Ok(oauth.authorise_url(&state).to_string())
    }

    /// What was remembered under a state that came back: once.
    ///
    /// # Errors
    /// Redis does not answer, or what it holds is not ours.
    pub(crate) async fn take(redis: &Redis, keys: &Keys, sealer: &Sealer, state: &str) -> anyhow::Result<Option<Self>> {
        let hash = hash(state);
        let Some(sealed) = intake::take_grant(redis, keys, &hash).await? else { return Ok(None) };
        let text = sealer.open(&sealed, &hash).context("opening a grant")?;
        serde_json::from_str(text.expose_secret()).context("reading a grant").map(Some)
    }
}

/// What Redis knows a state by: somebody who reads Redis cannot use it.
fn hash(state: &str) -> String {
    hex::encode(Sha256::digest(state.as_bytes()))
}

/// Our application at Exist; `None` if none is set.
///
/// # Errors
/// The HTTP client cannot be built.
pub fn exist_oauth(settings: &Settings) -> anyhow::Result<Option<OAuth>> {
    let Some(app) = &settings.apps.exist else { return Ok(None) };
    let base = settings.peers.exist_oauth.url();
    Ok(Some(OAuth {
        source_name: EXIST,
        http: source::http::client(ANSWER_WITHIN).context("preparing to talk to Exist")?,
        authorise: source::http::below(&base, &["authorize"]),
        token: source::http::below(&base, &["access_token"]),
        encoding: Encoding::Form,
        scope: Some(EXIST_SCOPES),
        client_id: app.client_id.clone(),
        client_secret: app.client_secret.expose_secret().to_owned(),
        redirect_uri: settings.oauth_callback(EXIST),
    }))
}
