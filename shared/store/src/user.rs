//! A user's documents: zone, connections, rules, sealed tokens, cursors. One hash per user.

mod attribute; // an attribute, and what became of it in Exist
mod connection; // Exist and the sources
pub mod field; // fields of the hash
mod recount; // sources counted anew
mod wish; // what operators ask of the exist-writer

use std::collections::{BTreeMap, HashMap};

use event::{AttributeName, Partition, SourceName, UserId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Keys, Redis, StoreError,
    pause::{Pauses, Wide},
};

pub use attribute::{Acquire, Attribute, AttributeState};
pub use connection::{Adopt, Connected, ExistConnection, SourceConnection, changed_rules};
pub use ledger::Mode;
pub use recount::{Generation, RecountAsked, Recounted, Recounting};
pub use wish::{AuditAsked, Audited, Difference, Found, Zeroing};

/// What is known of a user as such. Written by operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The zone an import gave; otherwise Exist's profile decides.
    pub timezone: Option<String>,
}

/// How the last polls of a connection went. Written by the fetcher, for people and for backoff.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polled {
    /// When one first went well, in milliseconds since 1970; 0 if never. Nothing read since can be
    /// forgotten before the retention time is over.
    #[serde(default)]
    pub first_ok_at_ms: u64,
    /// When one last went well, in milliseconds since 1970; 0 if never.
    pub ok_at_ms: u64,
    /// How many have failed since.
    pub failures: u32,
    /// What went wrong last; empty if nothing.
    pub problem: String,
    /// Rows brought so far.
    pub rows: u64,
    /// The back-fill is still going on.
    pub back_filling: bool,
}

/// The zone Exist's profile shows. Written by the exist-writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileZone {
    /// IANA name.
    pub name: String,
    /// When it was read, in milliseconds since 1970.
    pub read_at_ms: u64,
}

/// A zone that decides the user's days from an instant on. Written with whatever changes the zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneSince {
    /// IANA name.
    pub name: String,
    /// In milliseconds since 1970; the first zone holds for all time before it too.
    pub since_ms: u64,
}

/// Most changes of zone that are remembered; the oldest go first.
const ZONES_MAX: usize = 32;

/// Everything known of one user, read at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// As such.
    pub about: Option<About>,
    /// Exist.
    pub exist: Option<ExistConnection>,
    /// What the last import said of Exist's tokens, sealed for `<user>/imported`: another import that says
    /// the same does not bring back a pair that was refreshed since.
    pub imported: Option<String>,
    /// The attributes that connections feed.
    pub attributes: BTreeMap<AttributeName, Attribute>,
    /// What became of them in Exist.
    pub attribute_states: BTreeMap<AttributeName, AttributeState>,
    /// The zone Exist's profile shows.
    pub profile_zone: Option<ProfileZone>,
    /// The zones that decided the user's days so far, in order.
    pub zones: Vec<ZoneSince>,
    /// Connections, by source.
    pub sources: BTreeMap<SourceName, SourceConnection>,
    /// How polling them goes.
    pub polled: BTreeMap<SourceName, Polled>,
    /// How far they were read.
    pub cursors: BTreeMap<SourceName, String>,
    /// What each connection's webhooks are about, as they stand in the index.
    pub topics: BTreeMap<SourceName, Vec<String>>,
    /// What the last import said of each source's credentials, sealed for `<user>/imported`: another import
    /// that says the same does not bring back tokens that were refreshed since.
    pub imported_sources: BTreeMap<SourceName, String>,
    /// What webhooks since the last poll ask of the next: `recent/…` or `window/…`.
    pub hints: BTreeMap<SourceName, String>,
    /// Recounts that are asked for.
    pub recounts_asked: BTreeMap<SourceName, RecountAsked>,
    /// Recounts that the fetcher is about.
    pub recounting: BTreeMap<SourceName, Recounting>,
    /// Recounts that the ledger knows of.
    pub recounted: BTreeMap<SourceName, Recounted>,
    /// Exist was asked which attributes are ours already.
    pub looked_up: bool,
    /// Attributes whose recent days are to be set to 0.
    pub zeroing: BTreeMap<AttributeName, Zeroing>,
    /// An audit that is asked for.
    pub audit_asked: Option<AuditAsked>,
    /// What the last audit found.
    pub audited: Option<Audited>,
    /// What stood in Exist before us, while an operator is to decide about it.
    pub found: Found,
    /// What of the user is paused, and what pauses the user among others.
    pub pauses: Pauses,
}

/// A document as it is stored.
///
/// # Panics
/// Never for the documents of this module: they are plain JSON.
pub fn document<T: Serialize>(document: &T) -> String {
    serde_json::to_string(document).expect("our own documents are plain JSON")
}

impl User {
    /// Whether there is such a user.
    #[must_use]
    pub const fn exists(&self) -> bool {
        self.about.is_some()
    }

    /// The name of the zone that decides the user's days; `None` until it is known.
    #[must_use]
    pub fn zone_name(&self) -> Option<&str> {
        let given = self.about.as_ref().and_then(|about| about.timezone.as_deref());
        given.or_else(|| self.profile_zone.as_ref().map(|zone| zone.name.as_str()))
    }

    /// The user's zones when `name` decides the days from now on; `None` if it does so already.
    #[must_use]
    pub fn zones_from_now(&self, name: &str, now_ms: u64) -> Option<Vec<ZoneSince>> {
        if self.zones.last().is_some_and(|latest| latest.name == name) {
            return None;
        }
        let mut zones = self.zones.clone();
        let since_ms = if zones.is_empty() { 0 } else { now_ms };
        zones.push(ZoneSince { name: name.to_owned(), since_ms });
        let too_many = zones.len().saturating_sub(ZONES_MAX);
        zones.drain(..too_many);
        Some(zones)
    }

    fn read(key: &str, fields: HashMap<String, String>) -> Result<Self, StoreError> {
        let mut user = Self::default();
        for (name, text) in fields {
            let at = || format!("{key} {name}");
            if let Some(attribute) = name.strip_prefix(field::ZERO) {
                if let Ok(attribute) = AttributeName::try_new(attribute) {
                    user.zeroing.insert(attribute, parse(at, &text)?);
                }
                continue;
            }
            match name.split_once(':') {
                None => match name.as_str() {
                    field::ABOUT => user.about = Some(parse(at, &text)?),
                    field::EXIST => user.exist = Some(parse(at, &text)?),
                    field::IMPORTED => user.imported = Some(text),
                    field::ATTRIBUTES => user.attributes = parse(at, &text)?,
                    field::ATTRIBUTE_STATES => user.attribute_states = parse(at, &text)?,
                    field::PROFILE_ZONE => user.profile_zone = Some(parse(at, &text)?),
                    field::ZONES => user.zones = parse(at, &text)?,
                    field::LOOKED_UP => user.looked_up = true,
                    field::AUDIT_ASKED => user.audit_asked = Some(parse(at, &text)?),
                    field::AUDITED => user.audited = Some(parse(at, &text)?),
                    field::FOUND => user.found = parse(at, &text)?,
                    field::PAUSED => user.pauses.user = Some(parse(at, &text)?),
                    _ => {}
                },
                Some(("paused_attribute", name)) => {
                    let Ok(name) = AttributeName::try_new(name) else { continue };
                    user.pauses.attributes.insert(name, parse(at, &text)?);
                }
                Some((kind, source)) => {
                    let Ok(source) = SourceName::try_new(source) else { continue };
                    match kind {
                        "source" => drop(user.sources.insert(source, parse(at, &text)?)),
                        "polled" => drop(user.polled.insert(source, parse(at, &text)?)),
                        "cursor" => drop(user.cursors.insert(source, text)),
                        "topics" => drop(user.topics.insert(source, parse(at, &text)?)),
                        "imported" => drop(user.imported_sources.insert(source, text)),
                        "hint" => drop(user.hints.insert(source, text)),
                        "recount" => drop(user.recounts_asked.insert(source, parse(at, &text)?)),
                        "recounting" => drop(user.recounting.insert(source, parse(at, &text)?)),
                        "paused" => drop(user.pauses.connections.insert(source, parse(at, &text)?)),
                        "recounted" => drop(user.recounted.insert(source, parse(at, &text)?)),
                        _ => {}
                    }
                }
            }
        }
        Ok(user)
    }
}

fn parse<T: DeserializeOwned>(key: impl FnOnce() -> String, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Document { key: key(), source })
}

/// Reads users of one partition, in the order asked; one that is not connected has no `about`.
///
/// # Errors
/// [`StoreError::Redis`]: no answer. [`StoreError::Document`]: a document of an incompatible release.
pub async fn users(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    wanted: &[UserId],
) -> Result<Vec<User>, StoreError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    const DOING: &str = "reading users";
    let mut pipeline = redis::pipe();
    // The revision first: what changes behind it is noticed.
    pipeline.cmd("GET").arg(keys.revision(partition));
    pipeline.cmd("HGETALL").arg(keys.paused(partition));
    for user in wanted {
        pipeline.cmd("HGETALL").arg(keys.user(partition, user));
    }
    let mut answers: Vec<redis::Value> = redis.run_all(DOING, &pipeline).await?;
    let unreadable = |error: redis::ParsingError| StoreError::redis(DOING)(error.into());
    let hashes: Vec<HashMap<String, String>> =
        redis::from_redis_value(redis::Value::Array(answers.split_off(2))).map_err(unreadable)?;
    let (revision, paused): (Option<u64>, BTreeMap<String, String>) =
        redis::from_redis_value(redis::Value::Array(answers)).map_err(unreadable)?;
    let wide = Wide::read(&keys.paused(partition), paused)?;
    let user = |(user, fields)| {
        let mut user = User::read(&keys.user(partition, user), fields)?;
        (user.pauses.revision, user.pauses.wide) = (revision.unwrap_or(0), wide.clone());
        Ok(user)
    };
    wanted.iter().zip(hashes).map(user).collect()
}

/// What the ledger knows of the recounts of some sources of a partition's users, in the order asked.
///
/// # Errors
/// As [`users`].
pub async fn recounted(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    wanted: &[(UserId, SourceName)],
) -> Result<Vec<Recounted>, StoreError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipeline = redis::pipe();
    for (user, source) in wanted {
        pipeline.cmd("HGET").arg(keys.user(partition, user)).arg(field::recounted(source));
    }
    let texts: Vec<Option<String>> = redis.run_all("reading recounts", &pipeline).await?;
    let found = wanted.iter().zip(texts).map(|((user, source), text)| {
        let at = || format!("{} {}", keys.user(partition, user), field::recounted(source));
        text.map_or(Ok(Recounted::default()), |text| parse(at, &text))
    });
    found.collect()
}

/// The names of a partition's users, sorted.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn names(redis: &Redis, keys: &Keys, partition: Partition) -> Result<Vec<UserId>, StoreError> {
    let mut command = redis::cmd("SMEMBERS");
    command.arg(keys.users(partition));
    let names: Vec<String> = redis.run("listing users", &command).await?;
    let mut names: Vec<UserId> = names.iter().filter_map(|name| UserId::try_new(name).ok()).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_zone_decides_from_now_on_and_the_same_one_changes_nothing() {
        let mut user = User::default();
        user.zones = user.zones_from_now("Asia/Tokyo", 7).unwrap();
        assert_eq!(user.zones, [ZoneSince { name: "Asia/Tokyo".into(), since_ms: 0 }]);
        assert_eq!(user.zones_from_now("Asia/Tokyo", 8), None);
        user.zones = user.zones_from_now("UTC", 9).unwrap();
        assert_eq!(user.zones[1], ZoneSince { name: "UTC".into(), since_ms: 9 });
    }
}
