//! Sending somebody to a consent page.

use anyhow::{Context, bail, ensure};
use event::{AttributeName, SourceName, UserId};
use fetcher::{EXIST, GRANT_LIVES, Grant, exist_oauth};
use serde_json::{Map, Value, json};
use settings::ExposeSecret;
use source::RulesByAttribute;
use store::user::User;

use super::{AskedWrongly, Operator, print_json, say};
use crate::{cli::Output, import::check::describe, sources::sources};

/// What a connection gets beside its tokens.
pub(crate) struct Extra {
    /// A file with the connection's `settings`, as an import has them.
    pub(crate) settings: Option<String>,
    /// Credentials that no grant brings, such as `repositories`.
    pub(crate) credentials: Vec<(String, String)>,
}

/// Prints the address at which `user` lets us in; the fetcher takes them back.
pub(crate) async fn connect(
    operator: &Operator,
    peer: &str,
    user: &UserId,
    extra: &Extra,
    output: Output,
) -> anyhow::Result<()> {
    let sealer = operator.settings.encryption_key.as_ref();
    let sealer = sealer.context("tokens are stored sealed: set TRIBUTARY_ENCRYPTION_KEY")?;
    let upper = peer.to_uppercase();
    let no_app = || {
        format!("we are no application of {peer}: set TRIBUTARY_{upper}_CLIENT_ID and TRIBUTARY_{upper}_CLIENT_SECRET")
    };
    let url = if peer == EXIST {
        let oauth = exist_oauth(&operator.settings)?.with_context(no_app)?;
        grant(user, peer, json!({}), RulesByAttribute::new(), Default::default())
            .begin(&operator.redis, &operator.keys, sealer, &oauth)
            .await?
    } else {
        let sources = sources(&operator.settings)?;
        let found = SourceName::try_new(peer).ok().and_then(|name| Some((sources.get(&name)?, name)));
        let Some((source, name)) = found else {
            let names: Vec<_> = sources.keys().map(SourceName::as_str).collect();
            bail!(AskedWrongly(format!("{peer:?} is neither exist nor one of {}", names.join(", "))));
        };
        ensure!(
            ["trakt", "ynab", "github"].contains(&peer),
            "{peer} knows no consent page: import a connection with its key instead"
        );
        let oauth = source.oauth().with_context(no_app)?;
        let (_, documents) = operator.user(user).await?;
        let mut credentials = credentials(operator, &documents, user, &name)?;
        credentials.extend(extra.credentials.iter().map(|(name, text)| (name.clone(), value(text))));
        let (rules, attributes) = match &extra.settings {
            Some(file) => read_settings(source.as_ref(), file)?,
            None => {
                let rules = documents.sources.get(&name).map(|connection| connection.rules.clone());
                (
                    rules.with_context(|| format!("{user} has no connection to {peer} yet: give --settings FILE"))?,
                    Default::default(),
                )
            }
        };
        let grant = grant(user, peer, Value::Object(credentials), rules, attributes);
        grant.begin(&operator.redis, &operator.keys, sealer, oauth).await?
    };
    let until = jiff::Timestamp::now() + jiff::SignedDuration::try_from(GRANT_LIVES)?;
    if output.json {
        return print_json(&json!({ "url": url, "valid_until": until.to_string() }));
    }
    eprintln!("open this address and consent, within {} minutes:", GRANT_LIVES.as_secs() / 60);
    say(&url)
}

fn grant(
    user: &UserId,
    peer: &str,
    credentials: Value,
    rules: RulesByAttribute,
    attributes: std::collections::BTreeMap<AttributeName, store::user::Attribute>,
) -> Grant {
    Grant { user: user.clone(), peer: peer.to_owned(), credentials, rules, attributes }
}

/// The credentials that the connection has; none if it is new.
fn credentials(
    operator: &Operator,
    documents: &User,
    user: &UserId,
    name: &SourceName,
) -> anyhow::Result<Map<String, Value>> {
    let Some(connection) = documents.sources.get(name) else { return Ok(Map::new()) };
    let sealer = operator.settings.encryption_key.as_ref().context("TRIBUTARY_ENCRYPTION_KEY is not set")?;
    let opened = sealer.open(&connection.credentials, &format!("{user}/{name}"));
    let opened = opened.context("the connection's credentials cannot be opened with our encryption keys")?;
    serde_json::from_str(opened.expose_secret()).context("reading the connection's credentials")
}

/// A value of the command line: JSON where it is, else text.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

type Read = (RulesByAttribute, std::collections::BTreeMap<AttributeName, store::user::Attribute>);

/// Reads `{"map": {…}}` as an import has it.
fn read_settings(source: &dyn source::Source, file: &str) -> anyhow::Result<Read> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {file}"))?;
    let settings: Value = serde_json::from_str(&text).with_context(|| format!("{file} is not JSON"))?;
    let rules: RulesByAttribute = serde_json::from_value(settings.get("map").cloned().unwrap_or_default())
        .with_context(|| format!("{file}: map must be an object of rules by attribute"))?;
    let mut problems = Vec::new();
    let mut attributes = std::collections::BTreeMap::new();
    match source.compile(&rules) {
        Ok(mapping) => {
            for (name, unit) in mapping.attributes() {
                let described = describe(&rules[name], *unit, &format!("map.{name}"), &mut problems);
                attributes.extend(described.map(|described| (name.clone(), described)));
            }
        }
        Err(wrong) => problems.extend(wrong.iter().map(ToString::to_string)),
    }
    ensure!(problems.is_empty(), AskedWrongly(format!("{file}: {}", problems.join("; "))));
    Ok((rules, attributes))
}
