//! Sending somebody to a consent page.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use event::{AttributeName, SourceName, UserId};
use fetcher::{EXIST, GRANT_LIVES, Grant, exist_oauth};
use serde_json::{Map, Value, json};
use settings::ExposeSecret;
use source::{RulesByAttribute, Source};
use store::user::{Attribute, User};

use super::{AskedWrongly, Operator, print_json, say};
use crate::{
    cli::Output,
    import::check::{FED_OTHERWISE, describe},
    sources::sources,
};

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
            AskedWrongly(format!("{peer} knows no consent page: import a connection with its key instead"))
        );
        let oauth = source.oauth().with_context(no_app)?;
        let first = || format!("without Exist there is nowhere to write: connect {user} to exist first");
        let (_, documents) = operator.user(user).await.with_context(first)?;
        let mut credentials = credentials(operator, &documents, user, &name)?;
        credentials.extend(extra.credentials.iter().map(|(name, text)| (name.clone(), value(text))));
        let (rules, attributes) = match &extra.settings {
            Some(file) => read_settings(source.as_ref(), &name, file, &documents)?,
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
    attributes: BTreeMap<AttributeName, Attribute>,
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

/// A value of the command line: a list or an object where it is one, else text. A number stays text: a secret
/// or an id may well be all digits.
fn value(text: &str) -> Value {
    let parsed = serde_json::from_str(text).ok().filter(|value: &Value| value.is_array() || value.is_object());
    parsed.unwrap_or_else(|| json!(text))
}

type Read = (RulesByAttribute, BTreeMap<AttributeName, Attribute>);

/// Reads `{"map": {…}}` as an import has it.
fn read_settings(source: &dyn Source, name: &SourceName, file: &str, documents: &User) -> anyhow::Result<Read> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {file}"))?;
    let wrongly = |problem: String| AskedWrongly(format!("{file}: {problem}"));
    let settings: Value = serde_json::from_str(&text).map_err(|error| wrongly(format!("not JSON: {error}")))?;
    let rules = settings.get("map").cloned().and_then(|map| serde_json::from_value::<RulesByAttribute>(map).ok());
    let rules = rules.ok_or_else(|| wrongly("map must be an object of rules by attribute".to_owned()))?;
    let (mut problems, mut attributes) = (Vec::new(), BTreeMap::new());
    match source.compile(&rules) {
        Ok(mapping) => {
            for (attribute, unit) in mapping.attributes() {
                let place = format!("map.{attribute}");
                let described = describe(&rules[attribute], *unit, &place, &mut problems);
                let Some(described) = described else { continue };
                if is_other_for_others(documents, name, attribute, &described) {
                    problems.push(format!("{place}: {FED_OTHERWISE}"));
                }
                attributes.insert(attribute.clone(), described);
            }
        }
        Err(wrong) => problems.extend(wrong.iter().map(ToString::to_string)),
    }
    ensure!(problems.is_empty(), wrongly(problems.join("; ")));
    Ok((rules, attributes))
}

/// Whether another connection feeds the attribute, and not as described: their sums could not be added.
fn is_other_for_others(documents: &User, name: &SourceName, attribute: &AttributeName, described: &Attribute) -> bool {
    let mut others = documents.sources.iter().filter(|(other, _)| *other != name);
    others.any(|(_, connection)| connection.rules.contains_key(attribute))
        && documents.attributes.get(attribute).is_some_and(|known| known != described)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_number_is_text_and_a_list_is_a_list() {
        for text in ["12345", "0123", "true", "null", "1e5", "s3cret", "\"quoted\"", "[unclosed", ""] {
            assert_eq!(value(text), json!(text));
        }
        assert_eq!(value(r#"["octo/demo"]"#), json!(["octo/demo"]));
    }
}
