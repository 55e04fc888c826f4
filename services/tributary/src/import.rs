//! `connections import`: a file of people checked as a whole, then written.

mod check; // rows into documents, or what is wrong with them
mod file; // the file as an operator writes it

use std::{io::Read, time::Duration};

use anyhow::Context;
use event::PartitionCount;
use ledger::Buckets;
use settings::{Sealer, Settings};
use source::Sources;
use store::{
    Keys, Redis, operate,
    user::{User, field, users},
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
    retention: Duration,
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
    Ok(Checked { people, sealer, retention: settings.retention })
}

/// Writes checked people, one after the other.
///
/// # Errors
/// Redis does not answer: some may be imported and others not; importing again is safe.
pub(crate) async fn import(
    redis: &Redis,
    keys: &Keys,
    partitions: PartitionCount,
    checked: &Checked,
) -> anyhow::Result<Imported> {
    let Checked { people, sealer, retention } = checked;
    for person in people {
        write(redis, keys, partitions, sealer, *retention, person)
            .await
            .with_context(|| format!("importing {} (importing again is safe)", person.user))?;
    }
    Ok(Imported {
        users: people.len(),
        connections: people.iter().map(|person| person.connections.len()).sum(),
        remarks: people.iter().flat_map(Person::remarks).collect(),
    })
}

/// Writes one person: an import again updates, keeps cursors, and removes what the row no longer names.
async fn write(
    redis: &Redis,
    keys: &Keys,
    partitions: PartitionCount,
    sealer: &Sealer,
    retention: Duration,
    person: &Person,
) -> anyhow::Result<()> {
    let partition = partitions.of(&person.user);
    let before = users(redis, keys, partition, std::slice::from_ref(&person.user)).await?;
    let before: User = before.into_iter().next().unwrap_or_default();
    let mut removed: Vec<String> = Vec::new();
    let mut recount = false;
    for gone in before.sources.keys().filter(|source| !person.connections.contains_key(*source)) {
        removed.extend([field::source(gone), field::polled(gone), field::cursor(gone)]);
    }
    for (source, connection) in &person.connections {
        // Other rules count other records: the window is read again, and nothing of it is a duplicate.
        if before.sources.get(source).is_some_and(|old| old.rules != connection.rules) {
            removed.push(field::cursor(source));
            recount = true;
        }
    }
    // What Exist refused may be allowed by now.
    removed.push(field::ATTRIBUTE_STATES.to_owned());
    let now_ms = operate::now_ms(redis).await?;
    let documents = person.documents(sealer, &before, now_ms);
    let sources: Vec<_> = person.connections.keys().cloned().collect();
    if recount {
        operate::forget_records(redis, keys, partition, &person.user, Buckets::new(retention)).await?;
    }
    operate::connect(redis, keys, partition, &person.user, &documents, &removed, &sources).await?;
    Ok(())
}
