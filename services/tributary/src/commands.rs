//! What operators ask and change. Data goes to stdout, as a table or as JSON; talk goes to stderr.

pub(crate) mod connections; // who is connected to what
pub(crate) mod dead_letters; // entries set aside, for a person
pub(crate) mod explain; // where a number comes from
pub(crate) mod status; // who owns what, how much waits
pub(crate) mod transactions; // what became of a user's records

use std::{io::Write, sync::Arc};

use anyhow::Context;
use event::{Partition, PartitionCount, UserId};
use jiff::Timestamp;
use serde::Serialize;
use settings::Settings;
use source::Sources;
use store::{
    Keys, Redis, operate,
    user::{User, users},
};

use crate::sources::sources;

/// What every command needs.
pub(crate) struct Operator {
    pub(crate) redis: Redis,
    pub(crate) keys: Keys,
    pub(crate) settings: Settings,
    pub(crate) sources: Arc<Sources>,
    pub(crate) partitions: PartitionCount,
}

impl Operator {
    /// Connects, and checks that the settings fit the deployment.
    pub(crate) async fn connect(settings: Settings) -> anyhow::Result<Self> {
        let sources = sources(&settings)?;
        let redis = Redis::connect(&settings.redis_url).await?;
        let keys = Keys::default();
        operate::check(&redis, &keys, settings.partitions).await?;
        let partitions = PartitionCount::try_new(settings.partitions)?;
        Ok(Self { redis, keys, settings, sources, partitions })
    }

    /// A user by name, where they live, and what is known of them.
    pub(crate) async fn user(&self, name: &str) -> anyhow::Result<(UserId, Partition, User)> {
        let user = UserId::try_new(name)?;
        let partition = self.partitions.of(&user);
        let documents = users(&self.redis, &self.keys, partition, std::slice::from_ref(&user)).await?;
        let documents = documents.into_iter().next().unwrap_or_default();
        anyhow::ensure!(documents.exists(), "nobody is connected under the name {user}");
        Ok((user, partition, documents))
    }
}

/// Prints a value as JSON on one line.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    say(&serde_json::to_string(value).context("writing JSON")?)
}

/// Prints a line; a reader that has gone is no error of ours.
pub(crate) fn say(line: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.context("writing to standard output"),
    }
}

/// Prints rows in columns as wide as their widest cell.
pub(crate) fn print_table(head: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    say(&line(head.to_vec()))?;
    rows.iter().try_for_each(|row| say(&line(row.iter().map(String::as_str).collect())))
}

/// Milliseconds since 1970 as UTC; `-` for 0.
pub(crate) fn time(ms: u64) -> String {
    let at = i64::try_from(ms).ok().filter(|ms| *ms > 0).and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"))
}

/// Asks on the terminal before something is destroyed.
///
/// # Errors
/// The answer was not yes.
pub(crate) fn confirm(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    eprint!("{question} Type yes: ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("reading the answer")?;
    anyhow::ensure!(answer.trim() == "yes", "nothing was done; --yes answers the question");
    Ok(())
}
