//! Entries set aside with their cause, for a person: look, put back, discard.

use clap::Args;
use event::{Origin, RawEvent};
use jiff::{SignedDuration, Timestamp};
use ledger::Buckets;
use serde::Serialize;
use store::{DeadLetter, letters, take};

use super::{Operator, confirm, print_json, print_table, say, time};

/// Which dead letters.
#[derive(Debug, Args, Default)]
pub(crate) struct Filter {
    /// Of this stage: `normalise` or `write`.
    #[arg(long)]
    stage: Option<String>,
    /// With this cause, such as `malformed` or `poison`.
    #[arg(long)]
    cause: Option<String>,
    /// From this source.
    #[arg(long)]
    source: Option<String>,
    /// Of this user.
    #[arg(long)]
    user: Option<String>,
    /// Not older than so long, such as `2h`.
    #[arg(long, value_name = "DURATION")]
    since: Option<SignedDuration>,
}

impl Filter {
    fn takes(&self, letter: &DeadLetter, now: Timestamp) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        let oldest_ms =
            self.since.map_or(0, |since| now.as_millisecond() - i64::try_from(since.as_millis()).unwrap_or(0));
        is(&self.stage, &letter.stage)
            && is(&self.cause, letter.cause.as_str())
            && is(&self.source, &letter.source)
            && is(&self.user, &letter.user)
            && i64::try_from(letter.at_ms).unwrap_or(i64::MAX) >= oldest_ms
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    id: String,
    stage: &'a str,
    user: &'a str,
    source: &'a str,
    external_id: &'a str,
    cause: &'a str,
    error: &'a str,
    at_ms: u64,
    deliveries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
}

impl<'a> Shown<'a> {
    fn of(letter: &'a DeadLetter, payload: Option<String>) -> Self {
        Self {
            id: letter.transaction.to_string(),
            stage: &letter.stage,
            user: &letter.user,
            source: &letter.source,
            external_id: &letter.external_id,
            cause: letter.cause.as_str(),
            error: &letter.error,
            at_ms: letter.at_ms,
            deliveries: letter.deliveries,
            payload,
        }
    }
}

async fn all(operator: &Operator, filter: &Filter) -> anyhow::Result<Vec<DeadLetter>> {
    let buckets = Buckets::new(operator.settings.retention);
    let mut found = Vec::new();
    for partition in operator.partitions.all() {
        found.extend(letters(&operator.redis, &operator.keys, partition, buckets).await?);
    }
    let now = Timestamp::now();
    found.retain(|letter| filter.takes(letter, now));
    found.sort_by_key(|letter| letter.at_ms);
    Ok(found)
}

async fn named(operator: &Operator, ids: &[String]) -> anyhow::Result<Vec<DeadLetter>> {
    let mut found = all(operator, &Filter::default()).await?;
    for id in ids {
        anyhow::ensure!(
            found.iter().any(|letter| letter.transaction.to_string() == *id),
            "there is no dead letter {id}"
        );
    }
    found.retain(|letter| ids.contains(&letter.transaction.to_string()));
    Ok(found)
}

/// Lists dead letters, the oldest first.
pub(crate) async fn list(operator: &Operator, filter: &Filter, json: bool) -> anyhow::Result<()> {
    let letters = all(operator, filter).await?;
    if json {
        let shown: Vec<Shown<'_>> = letters.iter().map(|letter| Shown::of(letter, None)).collect();
        return print_json(&serde_json::json!({ "dead_letters": shown }));
    }
    let rows: Vec<Vec<String>> = letters
        .iter()
        .map(|letter| {
            vec![
                letter.transaction.to_string(),
                time(letter.at_ms),
                letter.stage.clone(),
                letter.user.clone(),
                letter.source.clone(),
                letter.external_id.clone(),
                letter.cause.to_string(),
                letter.error.clone(),
            ]
        })
        .collect();
    print_table(&["id", "at", "stage", "user", "source", "record", "cause", "error"], &rows)
}

/// Shows one, with its payload.
pub(crate) async fn show(operator: &Operator, id: &str, json: bool) -> anyhow::Result<()> {
    for letter in named(operator, &[id.to_owned()]).await? {
        let payload = event::decode::<RawEvent>(&letter.entry).ok().map(|event| event.payload);
        if json {
            print_json(&Shown::of(&letter, payload))?;
            continue;
        }
        say(&format!("{} · {} · {} · {}", letter.transaction, letter.stage, letter.user, letter.source))?;
        say(&format!("record     {}", letter.external_id))?;
        say(&format!("set aside  {} after {} deliveries", time(letter.at_ms), letter.deliveries))?;
        say(&format!("cause      {}: {}", letter.cause, letter.error))?;
        say(&format!("payload    {}", payload.as_deref().unwrap_or("not readable")))?;
    }
    Ok(())
}

/// Puts dead letters back into the raw stream, each as a new transaction.
pub(crate) async fn redrive(
    operator: &Operator,
    ids: &[String],
    matching: Option<&Filter>,
    dry_run: bool,
) -> anyhow::Result<()> {
    let letters = match matching {
        Some(filter) => all(operator, filter).await?,
        None => named(operator, ids).await?,
    };
    let buckets = Buckets::new(operator.settings.retention);
    for letter in &letters {
        let Ok(event) = event::decode::<RawEvent>(&letter.entry) else {
            eprintln!("{}: set aside by the {} stage; it cannot be put back yet", letter.transaction, letter.stage);
            continue;
        };
        if dry_run {
            say(&format!("would put back {} ({} {})", letter.transaction, letter.source, letter.external_id))?;
            continue;
        }
        let again = RawEvent { origin: Origin::Redrive, replay_of: Some(letter.transaction), ..event };
        let taken = take(&operator.redis, &operator.keys, buckets, letter, Some(&again)).await?;
        say(&format!("{} {}", if taken { "put back" } else { "was gone:" }, letter.transaction))?;
    }
    Ok(())
}

/// Throws dead letters away.
pub(crate) async fn discard(operator: &Operator, ids: &[String], yes: bool) -> anyhow::Result<()> {
    let letters = named(operator, ids).await?;
    confirm(&format!("This throws {} entries away for good.", letters.len()), yes)?;
    let buckets = Buckets::new(operator.settings.retention);
    for letter in &letters {
        take(&operator.redis, &operator.keys, buckets, letter, None).await?;
        say(&format!("discarded {}", letter.transaction))?;
    }
    Ok(())
}
