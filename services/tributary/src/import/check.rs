//! Rows into documents, or everything that is wrong with them.

use std::collections::BTreeMap;

use event::{AttributeName, SourceName, Unit, UserId};
use serde_json::Value;
use settings::{ExposeSecret, Sealer, SecretString};
use source::{RulesByAttribute, Sources};
use store::user::{
    About, Acquire, Adopt, Attribute, Connected, ExistConnection, Mode, SourceConnection, User, document, field,
};

use super::file::{AttributeRow, ConnectionRow, ExistRow, Row};

/// Exist's types that an attribute of ours can be created with: integer, decimal, duration.
const VALUE_TYPES: [u8; 3] = [0, 1, 3];

/// Why two connections cannot feed one attribute.
pub(crate) const FED_OTHERWISE: &str =
    "another connection feeds this attribute with another unit, template, label or mode";

/// One person, checked.
pub(crate) struct Person {
    pub(crate) user: UserId,
    timezone: Option<String>,
    pub(crate) exist: ExistRow,
    attributes: BTreeMap<AttributeName, Attribute>,
    pub(crate) connections: BTreeMap<SourceName, Connection>,
}

/// One connection, checked.
pub(crate) struct Connection {
    pub(crate) credentials: Value,
    pub(crate) rules: RulesByAttribute,
}

/// All people of a file, or every problem in it.
pub(crate) fn people(path: &str, text: &str, sources: &Sources) -> Result<Vec<Person>, Vec<String>> {
    let file: Value = serde_json::from_str(text)
        .map_err(|error| vec![format!("{path}:{}: not JSON: {error}", error.line().max(1))])?;
    let Value::Array(rows) = file else {
        return Err(vec![format!("{path}:1: must be a list of people")]);
    };
    let lines = row_lines(text);
    let mut problems = Vec::new();
    let mut people: Vec<Person> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let user = row.get("user").and_then(Value::as_str).unwrap_or("?");
        let place = format!("{path}:{}: row {} ({user})", lines.get(index).copied().unwrap_or(1), index + 1);
        let mut found = Vec::new();
        if let Some(person) = Row::read(row, &mut found).and_then(|row| person(row, sources, &mut found)) {
            if people.iter().any(|other| other.user == person.user) {
                found.push("user: named twice in this file".to_owned());
            }
            people.push(person);
        }
        problems.extend(found.into_iter().map(|problem| format!("{place}: {problem}")));
    }
    if problems.is_empty() { Ok(people) } else { Err(problems) }
}

/// The line on which each row of a JSON array begins.
fn row_lines(text: &str) -> Vec<usize> {
    let (mut lines, mut line, mut depth, mut in_text, mut escaped) = (Vec::new(), 1, 0u32, false, false);
    let mut awaited = false;
    for character in text.chars() {
        if awaited && !character.is_whitespace() {
            lines.push(line);
            awaited = false;
        }
        match character {
            '\n' => line += 1,
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            _ if in_text => {}
            '[' | '{' => {
                depth += 1;
                awaited = depth == 1;
            }
            ',' if depth == 1 => awaited = true,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    lines
}

/// One row; `problems` holds what is wrong with this row, and with no other.
fn person(row: Row, sources: &Sources, problems: &mut Vec<String>) -> Option<Person> {
    let user =
        row.user.and_then(|user| UserId::try_new(&user).map_err(|error| problems.push(format!("user: {error}"))).ok());
    if let Some(zone) = row.timezone.as_ref().filter(|zone| jiff::tz::TimeZone::get(zone).is_err()) {
        problems.push(format!("timezone: {zone:?} is no IANA time zone"));
    }
    let mut attributes = BTreeMap::new();
    let mut connections = BTreeMap::new();
    for (index, connection) in row.connections.into_iter().enumerate() {
        let place = format!("connections[{index}]");
        let Some((source, connection)) = one_connection(connection, &place, sources, &mut attributes, problems) else {
            continue;
        };
        if connections.insert(source.clone(), connection).is_some() {
            problems.push(format!("{place}.source: {source} is connected twice"));
        }
    }
    // With any problem the row is no person: what was wrong was left out of it.
    problems.is_empty().then_some(())?;
    Some(Person { user: user?, timezone: row.timezone, exist: row.exist?, attributes, connections })
}

fn one_connection(
    row: ConnectionRow,
    place: &str,
    sources: &Sources,
    attributes: &mut BTreeMap<AttributeName, Attribute>,
    problems: &mut Vec<String>,
) -> Option<(SourceName, Connection)> {
    let known = SourceName::try_new(&row.source).ok().and_then(|name| Some((sources.get(&name)?, name)));
    let Some((source, name)) = known else {
        let names: Vec<_> = sources.keys().map(SourceName::as_str).collect();
        problems.push(format!("{place}.source: {:?} is none of {}", row.source, names.join(", ")));
        return None;
    };
    if let Err(wrong) = source.check_credentials(&row.credentials) {
        problems.extend(wrong.problems.into_iter().map(|problem| format!("{place}.credentials: {problem}")));
    }
    let mut rules = RulesByAttribute::new();
    for (attribute, rule) in row.map {
        match AttributeName::try_new(&attribute) {
            Ok(attribute) => drop(rules.insert(attribute, rule)),
            Err(error) => problems.push(format!("{place}.settings.map: {error}")),
        }
    }
    match source.compile(&rules) {
        Ok(mapping) => {
            for (attribute, unit) in mapping.attributes() {
                let place = format!("{place}.settings.map.{attribute}");
                let Some(described) = describe(&rules[attribute], *unit, &place, problems) else { continue };
                match attributes.get(attribute) {
                    Some(other) if *other != described => problems.push(format!("{place}: {FED_OTHERWISE}")),
                    _ => drop(attributes.insert(attribute.clone(), described)),
                }
            }
        }
        Err(wrong) => problems.extend(wrong.into_iter().map(|problem| format!("{place}.settings.{problem}"))),
    }
    Some((name, Connection { credentials: row.credentials, rules }))
}

/// How an attribute comes to be ours in Exist.
pub(crate) fn describe(rule: &Value, unit: Unit, place: &str, problems: &mut Vec<String>) -> Option<Attribute> {
    let row = AttributeRow::read(rule, place, problems)?;
    let mode = match row.mode.as_deref() {
        None | Some("total") => Mode::Total,
        Some("increment") => Mode::Increment,
        Some(other) => {
            problems.push(format!("{place}.mode: {other:?} is neither total nor increment"));
            Mode::Total
        }
    };
    let acquire = match (row.template, row.label, row.group, row.value_type) {
        (Some(template), None, None, None) => Acquire::Template(template),
        (None, Some(label), Some(group), Some(number)) => {
            let Some(value_type) = VALUE_TYPES.into_iter().find(|known| i64::from(*known) == number) else {
                problems
                    .push(format!("{place}.value_type: {number} is none of 0 (integer), 1 (decimal), 3 (duration)"));
                return None;
            };
            if unit == Unit::Milliunits && value_type != 1 {
                problems.push(format!("{place}.value_type: money needs 1 (decimal)"));
            }
            Acquire::Custom { label, group, value_type }
        }
        (None, None, None, None) => Acquire::Name,
        _ => {
            problems.push(format!("{place}: give either template, or label, group and value_type, or none of them"));
            return None;
        }
    };
    Some(Attribute { acquire, mode, unit })
}

impl Person {
    /// The documents to store, with everything secret sealed. The zone that Exist's profile showed, and
    /// everything that workers write, stays as it is.
    ///
    /// Exist's tokens are refreshed while we use them, and the pair in the file is dead by then: a file that
    /// brings the same pair again leaves ours alone.
    pub(crate) fn documents(&self, sealer: &Sealer, before: &User, now_ms: u64) -> Vec<(String, String)> {
        let timezone = self.timezone.clone();
        let mut documents = vec![
            (field::ABOUT.to_owned(), document(&About { timezone })),
            (field::ATTRIBUTES.to_owned(), document(&self.attributes)),
        ];
        // A zone that the file gives, or takes back, decides from now on.
        let profile = before.profile_zone.as_ref().map(|zone| zone.name.as_str());
        let zones = self.timezone.as_deref().or(profile).and_then(|name| before.zones_from_now(name, now_ms));
        documents.extend(zones.map(|zones| (field::ZONES.to_owned(), document(&zones))));
        let imported = format!("{}/imported", self.user);
        let is_known = before.imported.as_ref().and_then(|sealed| sealer.open(sealed, &imported).ok());
        let is_known = is_known.is_some_and(|known| known.expose_secret() == self.exist.told().expose_secret());
        let adopt = self.exist.adopt.or(before.exist.as_ref().map(|exist| exist.adopt)).unwrap_or_default();
        let exist = match &before.exist {
            Some(ours) if is_known => {
                ExistConnection { connected: Connected::On, adopt, last_chance: false, ..ours.clone() }
            }
            _ => {
                documents.push((field::IMPORTED.to_owned(), sealer.seal(&self.exist.told(), &imported)));
                self.exist_connection(sealer, adopt)
            }
        };
        // Written only where it differs: the exist-writer may be about to store a refreshed pair.
        if before.exist.as_ref() != Some(&exist) {
            documents.push((field::EXIST.to_owned(), document(&exist)));
        }
        for (source, connection) in &self.connections {
            let told = SecretString::from(connection.credentials.to_string());
            let known = before.imported_sources.get(source).and_then(|sealed| sealer.open(sealed, &imported).ok());
            let is_known = known.is_some_and(|known| known.expose_secret() == told.expose_secret());
            // As for Exist: tokens that were refreshed since are better than those of the file.
            let credentials = match before.sources.get(source) {
                Some(ours) if is_known => ours.credentials.clone(),
                _ => {
                    documents.push((field::imported(source), sealer.seal(&told, &imported)));
                    sealer.seal(&told, &format!("{}/{source}", self.user))
                }
            };
            let rules = connection.rules.clone();
            let stored = SourceConnection { connected: Connected::On, credentials, rules, last_chance: false };
            // Likewise: the fetcher may be about to store a refreshed pair.
            if before.sources.get(source) != Some(&stored) {
                documents.push((field::source(source), document(&stored)));
            }
        }
        documents
    }

    fn exist_connection(&self, sealer: &Sealer, adopt: Adopt) -> ExistConnection {
        let sealed = |token: &SecretString| sealer.seal(token, &format!("{}/exist", self.user));
        ExistConnection {
            connected: Connected::On,
            access_token: sealed(&self.exist.access_token),
            refresh_token: self.exist.refresh_token.as_ref().map(sealed),
            expires_at: self.exist.created_at.zip(self.exist.expires_in).map(|(at, lives)| at.saturating_add(lives)),
            adopt,
            last_chance: false,
        }
    }
}

#[cfg(test)]
mod tests;
