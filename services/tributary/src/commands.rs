//! What operators ask and change. Data goes to stdout, as a table or as JSON; talk goes to stderr.

pub(crate) mod audit; // what we left in Exist beside what stands there
pub(crate) mod connect; // sending somebody to a consent page
pub(crate) mod connections; // who is connected to what
pub(crate) mod dead_letters; // entries set aside, for a person
pub(crate) mod explain; // where a number comes from
pub(crate) mod migrate; // taking over from a service that wrote totals
pub(crate) mod pause; // letting something wait
pub(crate) mod recount; // counting a source anew
pub(crate) mod replay; // ledgers rebuilt and compared
pub(crate) mod share; // some of all users
pub(crate) mod status; // who owns what, how much waits
pub(crate) mod top; // the status, again and again
pub(crate) mod transactions; // what became of a user's records
pub(crate) mod zero; // setting days to 0, to have them written anew

use std::io::Write;

use anyhow::Context;
use event::{Partition, PartitionCount, UserId};
use jiff::Timestamp;
use serde::Serialize;
use settings::Settings;
use store::{
    Keys, Redis, operate,
    user::{User, users},
};

use crate::cli::Consent;

/// What every command needs.
pub(crate) struct Operator {
    pub(crate) redis: Redis,
    pub(crate) keys: Keys,
    pub(crate) settings: Settings,
    pub(crate) partitions: PartitionCount,
}

impl Operator {
    /// Connects to change something: the settings and Redis must fit, as for a service.
    ///
    /// # Errors
    /// Redis does not answer, holds another number of partitions, or may throw data away.
    pub(crate) async fn to_change(settings: Settings) -> anyhow::Result<Self> {
        let operator = Self::connect(settings).await?;
        operate::check(&operator.redis, &operator.keys, operator.settings.partitions).await?;
        Ok(operator)
    }

    /// Connects to look: changes nothing, and also looks at a Redis on which no service would start, as long
    /// as its partitions are ours.
    ///
    /// # Errors
    /// Redis does not answer, or holds another number of partitions.
    pub(crate) async fn to_read(settings: Settings) -> anyhow::Result<Self> {
        let operator = Self::connect(settings).await?;
        operate::check_to_look(&operator.redis, &operator.keys, operator.settings.partitions).await?;
        Ok(operator)
    }

    async fn connect(settings: Settings) -> anyhow::Result<Self> {
        let redis = Redis::connect(&settings.redis_url).await?;
        let partitions = PartitionCount::try_new(settings.partitions)?;
        Ok(Self { redis, keys: Keys::default(), settings, partitions })
    }

    /// Where a user lives, and what is known of them.
    ///
    /// # Errors
    /// Nobody of that name is connected, or Redis does not answer.
    pub(crate) async fn user(&self, user: &UserId) -> anyhow::Result<(Partition, User)> {
        let partition = self.partitions.of(user);
        let documents = users(&self.redis, &self.keys, partition, std::slice::from_ref(user)).await?;
        let documents = documents.into_iter().next().unwrap_or_default();
        anyhow::ensure!(documents.exists(), "nobody is connected under the name {user}");
        Ok((partition, documents))
    }
}

/// The command could be read and still makes no sense; says why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct AskedWrongly(pub(crate) String);

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
pub(crate) fn confirm(question: &str, consent: Consent) -> anyhow::Result<()> {
    if consent.yes {
        return Ok(());
    }
    eprint!("{question} Type yes: ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("reading the answer")?;
    anyhow::ensure!(answer.trim() == "yes", "nothing was done; --yes answers the question");
    Ok(())
}
