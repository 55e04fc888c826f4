//! Entries set aside with their cause, for a person: look, put back, discard.

use std::collections::BTreeMap;

use clap::{Args, builder::PossibleValuesParser};
use console::LetterRow;
use event::{NormalisedEvent, Partition, RawEvent, Reason, SourceName, TransactionId, UserId};
use ledger::Buckets;
use serde::Serialize;
use serde_json::json;
use store::{Back, DeadLetter, Stage, letters, now_ms, put_back, take};

use super::{AskedWrongly, Operator, confirm, print_json, print_table, say, time};
use crate::cli::{Consent, Output};

/// Which dead letters.
#[derive(Debug, Args, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Of this stage.
    #[arg(long, value_parser = PossibleValuesParser::new([Stage::Normalise.as_str(), Stage::Write.as_str()]))]
    stage: Option<String>,
    /// With this cause.
    #[arg(long, value_parser = PossibleValuesParser::new([Reason::Malformed.as_str(), Reason::Poison.as_str()]))]
    cause: Option<String>,
    /// From this source.
    #[arg(long)]
    source: Option<SourceName>,
    /// Of this user.
    #[arg(long)]
    user: Option<UserId>,
    /// Not older than so long, such as `30m`, `2h` or `1d`.
    #[arg(long, value_name = "DURATION", value_parser = length_ms)]
    since: Option<u64>,
}

/// A whole number and a unit, as settings write lengths of time.
pub(crate) fn length_ms(text: &str) -> Result<u64, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms = match &text[number.len()..] {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("its unit is not one of s, m, h, d".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "it does not begin with a whole number".to_owned())?;
    number.checked_mul(unit_ms).ok_or_else(|| "the number is too large".to_owned())
}

impl Filter {
    fn takes(&self, letter: &DeadLetter, now_ms: u64) -> bool {
        let is = |wanted: Option<&str>, value: &str| wanted.is_none_or(|wanted| wanted == value);
        is(self.stage.as_deref(), &letter.stage)
            && is(self.cause.as_deref(), letter.cause.as_str())
            && is(self.source.as_ref().map(SourceName::as_str), &letter.source)
            && is(self.user.as_ref().map(UserId::as_str), &letter.user)
            && self.since.is_none_or(|since| letter.at_ms >= now_ms.saturating_sub(since))
    }
}

/// Those that are named, or those that a filter takes.
#[derive(Debug)]
pub(crate) enum Which {
    Named(Vec<TransactionId>),
    Matching(Filter),
}

impl Which {
    /// # Errors
    /// [`AskedWrongly`]: a filter beside names would be ignored.
    pub(crate) fn of(ids: Vec<TransactionId>, all_matching: bool, filter: Filter) -> Result<Self, AskedWrongly> {
        match all_matching {
            true => Ok(Self::Matching(filter)),
            false if filter == Filter::default() => Ok(Self::Named(ids)),
            false => Err(AskedWrongly("a filter needs --all-matching, and ids need no filter".to_owned())),
        }
    }
}

/// A letter with what is in it.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    row: LetterRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<serde_json::Value>,
}

async fn all(operator: &Operator, filter: &Filter) -> anyhow::Result<Vec<DeadLetter>> {
    let buckets = Buckets::new(operator.settings.retention);
    let mut found = Vec::new();
    for partition in operator.partitions.all() {
        found.extend(letters(&operator.redis, &operator.keys, partition, buckets).await?);
    }
    let now_ms = now_ms(&operator.redis).await?;
    found.retain(|letter| filter.takes(letter, now_ms));
    found.sort_by_key(|letter| letter.at_ms);
    Ok(found)
}

async fn which(operator: &Operator, which: &Which) -> anyhow::Result<Vec<DeadLetter>> {
    let ids = match which {
        Which::Matching(filter) => return all(operator, filter).await,
        Which::Named(ids) => ids,
    };
    let mut found = all(operator, &Filter::default()).await?;
    let there = |id: &&TransactionId| found.iter().any(|letter| letter.transaction == **id);
    let missing: Vec<String> = ids.iter().filter(|id| !there(id)).map(ToString::to_string).collect();
    anyhow::ensure!(missing.is_empty(), "nothing was done: there is no dead letter {}", missing.join(", nor "));
    found.retain(|letter| ids.contains(&letter.transaction));
    Ok(found)
}

/// Lists dead letters, the oldest first.
pub(crate) async fn list(operator: &Operator, filter: &Filter, output: Output) -> anyhow::Result<()> {
    let letters = all(operator, filter).await?;
    if output.json {
        let shown: Vec<LetterRow> = letters.iter().map(LetterRow::from).collect();
        return print_json(&json!({ "dead_letters": shown }));
    }
    let row = |letter: &DeadLetter| {
        vec![
            letter.transaction.to_string(),
            time(letter.at_ms),
            letter.stage.clone(),
            letter.user.clone(),
            letter.source.clone(),
            letter.external_id.clone(),
            letter.cause.to_string(),
            match letter.replay_of() {
                Some(old) => format!("repeats {old}: {}", letter.error),
                None => letter.error.clone(),
            },
        ]
    };
    let rows: Vec<Vec<String>> = letters.iter().map(row).collect();
    print_table(&["id", "at", "stage", "user", "source", "record", "cause", "error"], &rows)
}

/// Shows one, with its payload.
pub(crate) async fn show(operator: &Operator, id: TransactionId, output: Output) -> anyhow::Result<()> {
    for letter in which(operator, &Which::Named(vec![id])).await? {
        let payload = payload(&letter);
        if output.json {
            print_json(&Shown { row: LetterRow::from(&letter), payload })?;
            continue;
        }
        say(&format!("{} · {} · {} · {}", letter.transaction, letter.stage, letter.user, letter.source))?;
        say(&format!("record     {}", letter.external_id))?;
        say(&format!("set aside  {} after {} deliveries", time(letter.at_ms), letter.deliveries))?;
        say(&format!("cause      {}: {}", letter.cause, letter.error))?;
        if let Some(old) = letter.replay_of() {
            say(&format!("repeats    {old}"))?;
        }
        say(&format!("payload    {}", payload.map_or_else(|| "not readable".to_owned(), |value| value.to_string())))?;
    }
    Ok(())
}

/// What the entry holds: the source's record as JSON (as text where it is none), or what it adds to which day.
fn payload(letter: &DeadLetter) -> Option<serde_json::Value> {
    if let Ok(event) = event::decode::<RawEvent>(&letter.entry) {
        return Some(serde_json::from_str(&event.payload).unwrap_or(serde_json::Value::String(event.payload)));
    }
    let event: NormalisedEvent = event::decode(&letter.entry).ok()?;
    let adds = event.contributions.iter();
    let adds =
        adds.map(|adds| json!({ "attribute": adds.attribute, "day": adds.day.to_string(), "amount": adds.amount }));
    Some(adds.collect())
}

/// How a redrive is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Only say what would be done.
    pub(crate) dry: bool,
    pub(crate) consent: Consent,
    pub(crate) output: Output,
}

/// What became of one letter, or what would.
#[derive(Serialize)]
struct Told {
    id: String,
    stage: String,
    source: String,
    external_id: String,
    /// The transaction that repeats it.
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<String>,
    /// Why it stays where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<&'static str>,
}

impl Told {
    fn of(letter: &DeadLetter, transaction: Option<TransactionId>, left: Option<&'static str>) -> Self {
        Self {
            id: letter.transaction.to_string(),
            stage: letter.stage.clone(),
            source: letter.source.clone(),
            external_id: letter.external_id.clone(),
            transaction: transaction.map(|transaction| transaction.to_string()),
            left,
        }
    }

    /// What is to be done with it, in words.
    fn planned(letter: &DeadLetter) -> Self {
        Self::of(letter, None, letter.again().is_none().then_some(UNREADABLE))
    }

    fn plan(&self) -> String {
        let Self { id, source, external_id, .. } = self;
        match self.left {
            Some(why) => format!("would leave {id} ({source} {external_id}): {why}"),
            None => format!("would put back {id} ({source} {external_id})"),
        }
    }
}

const UNREADABLE: &str = "this release cannot read it";
const GONE: &str = "somebody else took it meanwhile";

/// Puts dead letters back into the streams they came from, each as a new transaction: those of a user in one
/// step, in the order in which they arrived first.
///
/// # Errors
/// Some could not be put back; the others were.
pub(crate) async fn redrive(operator: &Operator, wanted: &Which, run: Run) -> anyhow::Result<()> {
    let mut letters = which(operator, wanted).await?;
    letters.sort_by_cached_key(|letter| letter.replay_of().unwrap_or(letter.transaction));
    let planned: Vec<Told> = letters.iter().map(Told::planned).collect();
    let told = if run.dry {
        planned
    } else {
        if letters.len() > 1 && !run.consent.yes {
            planned.iter().for_each(|told| eprintln!("{}", told.plan()));
            confirm(&format!("This puts {} entries back, each as a new transaction.", letters.len()), run.consent)?;
        }
        put_all_back(operator, &letters).await?
    };
    let left = told.iter().filter(|told| told.left.is_some_and(|why| why != GONE)).count();
    if run.output.json {
        print_json(&json!({ "dry_run": run.dry, "dead_letters": told }))?;
    } else {
        tell(&told, run.dry)?;
    }
    if letters.is_empty() {
        eprintln!("no dead letter matches");
    }
    anyhow::ensure!(left == 0, "{left} of {} dead letters could not be put back", letters.len());
    Ok(())
}

fn tell(told: &[Told], dry: bool) -> anyhow::Result<()> {
    for told in told {
        match told.left {
            _ if dry => say(&told.plan())?,
            None => say(&format!("put back {}", told.id))?,
            Some(why) => eprintln!("{}: {why}", told.id),
        }
    }
    Ok(())
}

async fn put_all_back(operator: &Operator, letters: &[DeadLetter]) -> anyhow::Result<Vec<Told>> {
    let buckets = Buckets::new(operator.settings.retention);
    let mut by_user: BTreeMap<(Partition, &str), Vec<DeadLetter>> = BTreeMap::new();
    for letter in letters {
        by_user.entry((letter.transaction.partition, &letter.user)).or_default().push(letter.clone());
    }
    let mut told = Vec::with_capacity(letters.len());
    for ((partition, _), letters) in by_user {
        let back = put_back(&operator.redis, &operator.keys, partition, buckets, &letters).await?;
        told.extend(letters.iter().zip(back).map(|(letter, back)| match back {
            Back::Done(transaction) => Told::of(letter, Some(transaction), None),
            Back::Gone => Told::of(letter, None, Some(GONE)),
            Back::Unreadable => Told::of(letter, None, Some(UNREADABLE)),
        }));
    }
    Ok(told)
}

/// Throws dead letters away.
pub(crate) async fn discard(operator: &Operator, ids: Vec<TransactionId>, consent: Consent) -> anyhow::Result<()> {
    let letters = which(operator, &Which::Named(ids)).await?;
    let entries = if letters.len() == 1 { "entry" } else { "entries" };
    confirm(&format!("This throws {} {entries} away for good.", letters.len()), consent)?;
    let buckets = Buckets::new(operator.settings.retention);
    for letter in &letters {
        let id = letter.transaction;
        match take(&operator.redis, &operator.keys, buckets, letter).await? {
            true => say(&format!("discarded {id}"))?,
            false => eprintln!("{id}: somebody else took it meanwhile"),
        }
    }
    Ok(())
}
