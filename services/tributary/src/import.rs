//! `connections import`: a file of people checked as a whole, then written.

pub(crate) mod check; // rows into documents, or what is wrong with them
mod file; // the file as an operator writes it

use std::io::Read;

use anyhow::Context;
use event::{PartitionCount, UserId};
use settings::{Sealer, Settings};
use source::Sources;
use store::{
    Keys, Redis, intake, operate,
    user::{Adopt, RecountAsked, User, changed_rules, document, field, users},
};

use check::Person;

/// Why nothing was imported: each line names row, user and field.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct ImportErrors(pub(crate) Vec<String>);

/// People of a file, every one of them right, and what their tokens are sealed with.
pub(crate) struct Checked {
    people: Vec<Person>,
    sealer: Sealer,
}

impl Checked {
    /// The same becomes of what stands in Exist for everybody, whatever the file says.
    pub(crate) fn adopt(&mut self, adopt: Adopt) {
        self.people.iter_mut().for_each(|person| person.exist.adopt = Some(adopt));
    }

    /// Who they are.
    pub(crate) fn users(&self) -> Vec<UserId> {
        self.people.iter().map(|person| person.user.clone()).collect()
    }
}

/// What was imported.
pub(crate) struct Imported {
    pub(crate) users: usize,
    pub(crate) connections: usize,
    /// What the operator should know although nothing is wrong.
    pub(crate) remarks: Vec<String>,
}

/// Reads a file, or standard input for `-`.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(path: &str) -> anyhow::Result<String> {
    if path == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("reading standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| format!("reading {path}"))
}

/// Checks all rows; `path` is what problems call the file.
///
/// # Errors
/// [`ImportErrors`]: everything that is wrong.
pub(crate) fn check(settings: &Settings, sources: &Sources, path: &str, text: &str) -> Result<Checked, ImportErrors> {
    let people = check::people(path, text, sources).map_err(ImportErrors)?;
    let sealer = settings.encryption_key.clone().ok_or_else(|| {
        let needed = "tokens are stored sealed: set TRIBUTARY_ENCRYPTION_KEY (or TRIBUTARY_ENCRYPTION_KEY_FILE)";
        ImportErrors(vec![needed.to_owned()])
    })?;
    Ok(Checked { people, sealer })
}

/// Writes checked people, one after the other.
///
/// # Errors
/// Redis does not answer: some may be imported and others not; importing again is safe.
pub(crate) async fn import(
    redis: &Redis,
    keys: &Keys,
    partitions: PartitionCount,
    sources: &Sources,
    checked: &Checked,
) -> anyhow::Result<Imported> {
    let Checked { people, sealer } = checked;
    let mut remarks: Vec<String> = Vec::new();
    for person in people {
        let changes = write(redis, keys, partitions, sealer, sources, person).await;
        let again = || format!("importing {} (importing again is safe)", person.user);
        remarks.extend(changes.with_context(again)?);
    }
    Ok(Imported {
        users: people.len(),
        connections: people.iter().map(|person| person.connections.len()).sum(),
        remarks,
    })
}

/// Writes one person: an import again updates, keeps cursors, and removes what the row no longer names.
/// Returns what the operator should know of it.
async fn write(
    redis: &Redis,
    keys: &Keys,
    partitions: PartitionCount,
    sealer: &Sealer,
    sources: &Sources,
    person: &Person,
) -> anyhow::Result<Vec<String>> {
    let partition = partitions.of(&person.user);
    let before = users(redis, keys, partition, std::slice::from_ref(&person.user)).await?;
    let before: User = before.into_iter().next().unwrap_or_default();
    let (mut removed, mut remarks): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for gone in before.sources.keys().filter(|source| !person.connections.contains_key(*source)) {
        removed.extend(field::of_connection(gone));
        let topics = before.topics.get(gone).map_or(&[][..], Vec::as_slice);
        intake::listen_no_more(redis, keys, gone, &person.user, topics).await?;
    }
    // What Exist refused may be allowed by now.
    removed.extend([field::ATTRIBUTE_STATES, field::LOOKED_UP].map(str::to_owned));
    let now_ms = operate::now_ms(redis).await?;
    let mut documents = person.documents(sealer, &before, now_ms);
    for (name, connection) in &person.connections {
        let had = before.topics.get(name).map(Vec::as_slice);
        let hooks = sources.get(name).and_then(|source| source.hooks());
        let Some(hooks) = hooks.filter(|hooks| hooks.secret(&connection.credentials).is_some()) else {
            if let Some(had) = had {
                intake::listen_no_more(redis, keys, name, &person.user, had).await?;
                removed.push(field::topics(name));
            }
            continue;
        };
        let topics = hooks.topics(&connection.credentials);
        intake::listen_instead(redis, keys, name, &person.user, had.unwrap_or_default(), &topics).await?;
        documents.push((field::topics(name), document(&topics)));
    }
    for (source, connection) in &person.connections {
        // Other rules count other records, and only the source can tell them all.
        if let Some(why) = before.sources.get(source).and_then(|old| changed_rules(&old.rules, &connection.rules)) {
            remarks.push(format!("{}: {source} is counted anew: {why}", person.user));
            documents.push((field::recount(source), document(&RecountAsked { from: None, why })));
        }
    }
    let connected: Vec<_> = person.connections.keys().cloned().collect();
    operate::connect(redis, keys, partition, &person.user, &documents, &removed, &connected).await?;
    Ok(remarks)
}
