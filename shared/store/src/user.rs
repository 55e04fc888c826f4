//! A user's documents: zone, connections, rules, sealed tokens, cursors. One hash per user.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use event::{AttributeName, Day, Decimal, Partition, SourceName, Unit, UserId};
pub use ledger::Mode;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Keys, Redis, StoreError,
    pause::{Pauses, Wide},
};

/// Whether a connection works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Connected {
    /// As far as we know.
    On,
    /// Not until the user connects again.
    Off {
        /// Why, in words without secrets.
        reason: String,
        /// Since when, in milliseconds since 1970.
        since_ms: u64,
    },
}

impl Connected {
    /// Whether it works.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        matches!(self, Self::On)
    }
}

/// What is known of a user as such. Written by operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The zone an import gave; otherwise Exist's profile decides.
    pub timezone: Option<String>,
}

/// What becomes of the values that stood in Exist before us, on the days that we count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adopt {
    /// Total mode writes over them unread. Increment mode adds to them, unless the attribute was ours already.
    #[default]
    Unset,
    /// They stay, and our sums come on top.
    Baseline,
    /// They came from a predecessor's totals of the same records: our sums take their place.
    Ours,
    /// They are read and kept for an operator to look at; nothing is written before that is decided.
    Ask,
}

impl Adopt {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Baseline => "baseline",
            Self::Ours => "ours",
            Self::Ask => "ask",
        }
    }
}

/// The connection to Exist. Tokens are sealed. Written by operators; tokens and state by the exist-writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExistConnection {
    /// Whether it works.
    pub connected: Connected,
    /// Sealed for `<user>/exist`.
    pub access_token: String,
    /// Sealed likewise.
    pub refresh_token: Option<String>,
    /// When the access token expires, in seconds since 1970; unknown means after the first 401.
    pub expires_at: Option<i64>,
    /// What becomes of the values that stood in Exist before us.
    pub adopt: Adopt,
    /// The token was refreshed because Exist refused the one before: if it refuses this one as well,
    /// the connection is off.
    #[serde(default)]
    pub last_chance: bool,
}

/// How an attribute comes to be ours in Exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acquire {
    /// By Exist's template, which creates it where the user has none.
    Template(String),
    /// By name: the user must have it.
    Name,
    /// By name, and created with these where the user has none.
    Custom {
        /// Shown to the user.
        label: String,
        /// Exist's group.
        group: String,
        /// Exist's type code.
        value_type: u8,
    },
}

/// An attribute that a user's connections feed. Written by operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// How it comes to be ours.
    pub acquire: Acquire,
    /// How it is written.
    pub mode: Mode,
    /// What its amounts are counted in, by the sources that feed it.
    pub unit: Unit,
}

/// A connection to a source. Written by operators; its state by the fetcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceConnection {
    /// Whether it works.
    pub connected: Connected,
    /// JSON, sealed for `<user>/<source>`.
    pub credentials: String,
    /// Each attribute's rule, as the source understands it.
    pub rules: BTreeMap<AttributeName, Value>,
    /// The access token was refreshed because the source refused the one before: if it refuses this one as
    /// well, the connection is off.
    #[serde(default)]
    pub last_chance: bool,
}

/// A wish that a source be counted anew. Written by operators and the normaliser; taken by the fetcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecountAsked {
    /// The first day; `None` for the whole back-fill window.
    pub from: Option<Day>,
    /// Who asks, and why, for people.
    pub why: String,
}

/// What changed in a connection's rules, by attribute, in words; `None` if nothing did. Other rules count
/// other records, and only the source can tell them all: they need a recount.
#[must_use]
pub fn changed_rules(before: &BTreeMap<AttributeName, Value>, now: &BTreeMap<AttributeName, Value>) -> Option<String> {
    let names: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let changes: Vec<String> = names
        .into_iter()
        .filter_map(|name| match (before.get(name), now.get(name)) {
            (None, Some(_)) => Some(format!("{name} is new")),
            (Some(_), None) => Some(format!("{name} is gone")),
            (before, now) if before != now => Some(format!("{name} has another rule")),
            _ => None,
        })
        .collect();
    if changes.is_empty() { None } else { Some(changes.join(", ")) }
}

/// A recount that the fetcher is about. Written by the fetcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recounting {
    /// Redis' clock when it began, in milliseconds since 1970.
    pub generation: u64,
    /// The first day.
    pub from: Day,
    /// The ledger has made room, and the window is being read.
    pub reading: bool,
}

/// A recount as far as the ledger knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// [`Recounting::generation`].
    pub number: u64,
    /// Totals from this day on were built anew.
    pub from: Day,
}

/// The recounts of one source. Written by the exist-writer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recounted {
    /// The latest last.
    pub generations: Vec<Generation>,
    /// The latest is not all here: its attributes are not written.
    pub under_way: bool,
    /// The totals that it replaces, `attribute|day` → base units; empty once it is over.
    pub before: BTreeMap<String, i64>,
}

/// Most recounts of one source that are remembered.
const GENERATIONS_MAX: usize = 16;

impl Recounted {
    /// The latest recount; 0 for none.
    #[must_use]
    pub fn latest(&self) -> u64 {
        self.generations.last().map_or(0, |generation| generation.number)
    }

    /// Remembers a recount; a long list loses its oldest, whose days the next one takes over.
    pub fn begin(&mut self, generation: Generation) {
        self.generations.push(generation);
        if self.generations.len() > GENERATIONS_MAX {
            let oldest = self.generations.remove(0);
            let next = &mut self.generations[0];
            next.from = next.from.min(oldest.from);
        }
    }

    /// The first day on which what a record of this generation added is void, because a later recount
    /// began anew there; `None` if it all stands.
    #[must_use]
    pub fn void_from(&self, generation: u64) -> Option<Day> {
        self.generations.iter().filter(|later| later.number > generation).map(|later| later.from).min()
    }
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

/// What became of an attribute in Exist. Written by the exist-writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum AttributeState {
    /// Ours to write.
    Owned {
        /// Its name in Exist, as Exist gave it.
        name: String,
        /// It was taken back once already after somebody else had taken it.
        reacquired: bool,
        /// We knew of no value of it when it became ours: what stands there on days up to this one was there
        /// before us.
        #[serde(default)]
        fresh_until: Option<Day>,
        /// Exist said that it was ours already: what stands there before us came from an earlier life of ours.
        #[serde(default)]
        was_ours: bool,
        /// What stands there from that earlier life was read, and is known.
        #[serde(default)]
        taken_over: bool,
    },
    /// To be acquired under this name: it exists already, or was taken from us.
    ToAcquire {
        /// Its name in Exist.
        name: String,
        /// It was ours before.
        reacquired: bool,
    },
    /// The user has none: to be created.
    ToCreate,
    /// Not ours, until an operator or the user does something.
    Refused {
        /// Why, as Exist said.
        detail: String,
    },
}

impl AttributeState {
    /// Whether what stands in Exist on a day was there before us, and whether it came from us all the same.
    #[must_use]
    pub fn before_us(&self, day: Day) -> Option<bool> {
        match self {
            Self::Owned { fresh_until: Some(until), was_ours, .. } if day <= *until => Some(*was_ours),
            _ => None,
        }
    }

    /// Whether values of an earlier life of ours stand there that are not known yet.
    #[must_use]
    pub const fn is_to_take_over(&self) -> bool {
        matches!(self, Self::Owned { fresh_until: Some(_), was_ours: true, taken_over: false, .. })
    }
}

/// A wish that recent days be set to 0 in Exist and then written anew. Written by operators; the exist-writer
/// takes days off it as they are done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zeroing {
    /// The days that are still to be set to 0.
    pub days: Vec<Day>,
    /// When it was asked, in milliseconds since 1970 by Redis' clock.
    pub asked_ms: u64,
}

/// A wish that everything we have left in Exist be read back. Written by operators; taken by the exist-writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditAsked {
    /// Whether what differs is to be written again.
    pub repair: bool,
    /// When it was asked, in milliseconds since 1970 by Redis' clock.
    pub asked_ms: u64,
}

/// What an audit found. Written by the exist-writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// [`AuditAsked::asked_ms`].
    pub asked_ms: u64,
    /// How many values were compared.
    pub compared: u64,
    /// Those that were not what we had left there.
    pub differences: Vec<Difference>,
    /// Attributes whose values Exist does not show us.
    pub unreadable: Vec<AttributeName>,
    /// Why it could not be done; empty if it could.
    pub problem: String,
}

/// A value in Exist that is not what we had left there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The attribute's name.
    pub attribute: AttributeName,
    /// The local day.
    pub day: Day,
    /// What we had left there; `None` if nobody can tell.
    pub left: Option<Decimal>,
    /// What stands there.
    pub found: Decimal,
    /// How the attribute is written.
    pub mode: Mode,
    /// Whether it is written again.
    pub repaired: bool,
}

/// What stood in Exist before us, for an operator to decide about: attribute → day → value. Written by the
/// exist-writer.
pub type Found = BTreeMap<AttributeName, BTreeMap<Day, Decimal>>;

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

/// Fields of a user's hash.
pub mod field {
    use event::{AttributeName, SourceName};

    /// [`super::About`].
    pub const ABOUT: &str = "about";
    /// [`super::ExistConnection`].
    pub const EXIST: &str = "exist";
    /// [`super::User::imported`].
    pub const IMPORTED: &str = "imported";
    /// Map of [`super::Attribute`].
    pub const ATTRIBUTES: &str = "attributes";
    /// Map of [`super::AttributeState`].
    pub const ATTRIBUTE_STATES: &str = "attribute_states";
    /// [`super::ProfileZone`].
    pub const PROFILE_ZONE: &str = "profile_zone";
    /// List of [`super::ZoneSince`].
    pub const ZONES: &str = "zones";
    /// [`super::User::looked_up`].
    pub const LOOKED_UP: &str = "looked_up";
    /// [`super::AuditAsked`].
    pub const AUDIT_ASKED: &str = "audit_asked";
    /// [`super::Audited`].
    pub const AUDITED: &str = "audited";
    /// [`super::Found`].
    pub const FOUND: &str = "found";
    /// What [`super::Zeroing`] fields begin with.
    pub(super) const ZERO: &str = "zero/";

    /// [`super::Zeroing`].
    #[must_use]
    pub fn zeroing(attribute: &AttributeName) -> String {
        format!("{ZERO}{attribute}")
    }

    /// [`crate::pause::Pause`] of the user.
    pub const PAUSED: &str = "paused";

    /// [`crate::pause::Pause`] of a connection.
    #[must_use]
    pub fn paused(peer: &SourceName) -> String {
        format!("paused:{peer}")
    }

    /// [`crate::pause::Pause`] of an attribute.
    #[must_use]
    pub fn paused_attribute(name: &AttributeName) -> String {
        format!("paused_attribute:{name}")
    }

    /// [`super::SourceConnection`].
    #[must_use]
    pub fn source(source: &SourceName) -> String {
        format!("source:{source}")
    }

    /// [`super::Polled`].
    #[must_use]
    pub fn polled(source: &SourceName) -> String {
        format!("polled:{source}")
    }

    /// What webhooks ask of the next poll: `recent/…` or `window/…`, and something unique behind it.
    #[must_use]
    pub fn hint(source: &SourceName) -> String {
        format!("hint:{source}")
    }

    /// List of [`super::User::topics`].
    #[must_use]
    pub fn topics(source: &SourceName) -> String {
        format!("topics:{source}")
    }

    /// [`super::User::imported_sources`].
    #[must_use]
    pub fn imported(source: &SourceName) -> String {
        format!("imported:{source}")
    }

    /// [`super::RecountAsked`].
    #[must_use]
    pub fn recount(source: &SourceName) -> String {
        format!("recount:{source}")
    }

    /// [`super::Recounting`].
    #[must_use]
    pub fn recounting(source: &SourceName) -> String {
        format!("recounting:{source}")
    }

    /// [`super::Recounted`].
    #[must_use]
    pub fn recounted(source: &SourceName) -> String {
        format!("recounted:{source}")
    }

    /// Every field of one connection.
    #[must_use]
    pub fn of_connection(source: &SourceName) -> Vec<String> {
        let fields = [self::source, polled, cursor, topics, imported, hint, recount, recounting, recounted, paused];
        fields.map(|name| name(source)).into()
    }

    /// The cursor's text.
    #[must_use]
    pub fn cursor(source: &SourceName) -> String {
        format!("cursor:{source}")
    }
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

    fn generation(number: u64, from: i32) -> Generation {
        Generation { number, from: Day::from_number(from) }
    }

    #[test]
    fn what_a_record_added_is_void_from_the_earliest_day_that_was_counted_anew_since() {
        let mut recounted = Recounted::default();
        assert_eq!((recounted.latest(), recounted.void_from(0)), (0, None));
        recounted.begin(generation(10, 100));
        recounted.begin(generation(20, 120));
        let void = |number| recounted.void_from(number).map(Day::number);
        assert_eq!([void(0), void(10), void(20)], [Some(100), Some(120), None]);
    }

    #[test]
    fn a_forgotten_recount_leaves_its_days_to_the_next() {
        let mut recounted = Recounted::default();
        recounted.begin(generation(1, 50));
        for number in 2..=20 {
            recounted.begin(generation(number, 100));
        }
        assert_eq!(recounted.generations.len(), GENERATIONS_MAX);
        assert_eq!(recounted.void_from(0).map(Day::number), Some(50));
    }

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
