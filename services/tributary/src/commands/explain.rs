//! Where a number comes from: the records, versions, requests and answers behind it.

use std::collections::BTreeMap;

use console::replays;
use event::{Direction, TransactionId, TransactionLine, Unit, UserId};
use ledger::{Buckets, Pair};
use serde::Serialize;
use store::{Composition, composition, lines_of, user::User};

use super::{Operator, print_json, print_table, say, time};
use crate::cli::Output;

#[derive(Serialize)]
struct Explained {
    user: String,
    attribute: String,
    day: String,
    /// What totals and records are counted in; `null` if no connection feeds the attribute any more.
    unit: Option<Unit>,
    totals: BTreeMap<String, i64>,
    total: i64,
    /// What Exist should hold, in Exist's unit.
    value: Option<String>,
    /// What Exist is known to hold; `null` if we never wrote it, or if the outcome is unknown.
    confirmed: Option<String>,
    /// How much of it came from our sum; `null` where nobody can tell.
    ours: Option<String>,
    /// What stood there before us and stays.
    adopted: String,
    /// Nobody can tell how much is ours: nothing is added before an operator decides.
    undecided: bool,
    /// The request that wrote it, or may have.
    confirmed_by: Option<String>,
    /// A change still waits to be sent or confirmed.
    waiting: bool,
    records: Vec<Record>,
    /// What the records that are still kept do not account for.
    older: i64,
    requests: Vec<Request>,
}

#[derive(Serialize)]
struct Record {
    source: String,
    external_id: String,
    version: i64,
    transaction: String,
    /// The transaction that an operator put back, and that this one repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay_of: Option<String>,
    amount: i64,
}

#[derive(Serialize)]
struct Request {
    request: String,
    at_ms: i64,
    state: &'static str,
    said: String,
}

/// Explains one number.
pub(crate) async fn explain(operator: &Operator, user: &UserId, pair: Pair, output: Output) -> anyhow::Result<()> {
    let (partition, documents) = operator.user(user).await?;
    let Operator { redis, keys, settings, .. } = operator;
    let buckets = Buckets::new(settings.retention);
    let made_of = composition(redis, keys, partition, user, &pair, buckets).await?;
    let unit = documents.attributes.get(&pair.attribute).map(|attribute| attribute.unit);
    anyhow::ensure!(
        unit.is_some() || !made_of.totals.is_empty(),
        "no connection of {user} feeds {}; `tributary connections show {user}` lists what is fed",
        pair.attribute
    );
    let lines = lines_of(redis, keys, partition, user, settings.retention).await?;
    let total: i64 = made_of.totals.values().sum();
    let records = records(&made_of, &pair, &documents, &replays(&lines));
    let held = made_of.confirmed.as_ref().map(|confirmed| confirmed.held).unwrap_or_default();
    let explained = Explained {
        user: user.to_string(),
        attribute: pair.attribute.to_string(),
        day: pair.day.to_string(),
        unit,
        total,
        value: unit.map(|unit| unit.to_exist(total).at_least_zero().to_string()),
        confirmed_by: made_of.confirmed.as_ref().map(|confirmed| confirmed.request.to_string()),
        confirmed: held.value.map(|value| value.to_string()),
        ours: held.ours.map(|ours| ours.to_string()),
        adopted: held.adopted.to_string(),
        undecided: held.is_undecided(),
        waiting: made_of.is_changed,
        older: total - records.iter().map(|record| record.amount).sum::<i64>(),
        totals: made_of.totals.into_iter().map(|(source, amount)| (source.to_string(), amount)).collect(),
        records,
        requests: requests(&lines, &pair),
    };
    if output.json { print_json(&explained) } else { print(&explained) }
}

/// Each record that adds to the pair, in the version that is in the totals. What one added before its source
/// was counted anew is in them no more.
fn records(
    made_of: &Composition,
    pair: &Pair,
    documents: &User,
    repeats: &BTreeMap<TransactionId, TransactionId>,
) -> Vec<Record> {
    let stands = |source: &event::SourceName, held: &store::Applied| {
        let void_from = documents.recounted.get(source).and_then(|recounted| recounted.void_from(held.generation));
        void_from.is_none_or(|from| pair.day < from)
    };
    let amount = |held: &store::Applied| {
        let adding = held.contributions.iter().filter(|adds| adds.attribute == pair.attribute && adds.day == pair.day);
        adding.map(|adds| adds.amount).sum()
    };
    let record = |((source, external_id), held): (&(event::SourceName, event::ExternalId), &store::Applied)| Record {
        source: source.to_string(),
        external_id: external_id.to_string(),
        version: held.version.0,
        transaction: held.transaction.to_string(),
        replay_of: repeats.get(&held.transaction).map(TransactionId::to_string),
        amount: amount(held),
    };
    made_of.records.iter().filter(|((source, _), held)| stands(source, held)).map(record).collect()
}

fn requests(lines: &[TransactionLine], pair: &Pair) -> Vec<Request> {
    let name = format!("{}@{}", pair.attribute, pair.day);
    let about = lines.iter().filter(|line| line.direction == Direction::Outbound && line.external_id.as_str() == name);
    let request = |line: &TransactionLine| Request {
        request: line.id.to_string(),
        at_ms: line.at_ms,
        state: line.state.as_str(),
        said: line.detail.clone(),
    };
    about.map(request).collect()
}

fn print(explained: &Explained) -> anyhow::Result<()> {
    let Explained { user, attribute, day, .. } = explained;
    say(&format!("{user} · {attribute} · {day}"))?;
    let held = match (&explained.confirmed, &explained.confirmed_by) {
        (Some(value), Some(request)) => format!("{value} (request {request})"),
        (None, Some(request)) => format!("nobody knows what: no usable answer to request {request}"),
        _ => "nothing of ours".to_owned(),
    };
    say(&format!("Exist holds  {held}"))?;
    match (&explained.value, explained.unit) {
        (Some(value), Some(unit)) => say(&format!("it should be {value} ({} {})", explained.total, word(unit)))?,
        _ => say(&format!("no connection feeds it any more; {} base units were counted", explained.total))?,
    }
    if explained.waiting {
        say("a change waits to be sent or confirmed")?;
    }
    for (source, amount) in &explained.totals {
        say(&format!("  {source}: {amount}"))?;
    }
    say("")?;
    let rows: Vec<Vec<String>> = explained
        .records
        .iter()
        .map(|record| {
            vec![
                record.source.clone(),
                record.external_id.clone(),
                record.version.to_string(),
                record.replay_of.as_ref().map_or_else(
                    || record.transaction.clone(),
                    |old| format!("{}, which repeats {old}", record.transaction),
                ),
                record.amount.to_string(),
            ]
        })
        .collect();
    print_table(&["source", "record", "version", "transaction", "adds"], &rows)?;
    if explained.older != 0 {
        say(&format!(
            "{:+} from records last seen before the retention time, which are no longer kept",
            explained.older
        ))?;
    }
    say("")?;
    let rows: Vec<Vec<String>> = explained
        .requests
        .iter()
        .map(|request| {
            let at = time(u64::try_from(request.at_ms).unwrap_or(0));
            vec![request.request.clone(), at, request.state.to_owned(), request.said.clone()]
        })
        .collect();
    print_table(&["request", "at", "state", "said"], &rows)
}

/// What a total is counted in, as people say it.
const fn word(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "counted",
        Unit::Seconds => "seconds",
        Unit::CentiMegabytes => "hundredths of a megabyte",
        Unit::Milliunits => "thousandths of the currency's unit",
    }
}
