//! Where a number comes from: the records, versions, requests and answers behind it.

use std::collections::BTreeMap;

use anyhow::Context;
use event::{AttributeName, Day, Direction, State, TransactionLine};
use ledger::Pair;
use serde::Serialize;
use store::{lines_of, pair_states};

use super::{Operator, print_json, print_table, say, time};

#[derive(Serialize)]
struct Explained {
    user: String,
    attribute: String,
    day: String,
    unit: Option<event::Unit>,
    totals: BTreeMap<String, i64>,
    total: i64,
    value: Option<String>,
    confirmed: Option<String>,
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
pub(crate) async fn explain(
    operator: &Operator,
    name: &str,
    attribute: &str,
    day: &str,
    json: bool,
) -> anyhow::Result<()> {
    let (user, partition, documents) = operator.user(name).await?;
    let pair = Pair { attribute: AttributeName::try_new(attribute)?, day: day.parse::<Day>()? };
    let Operator { redis, keys, settings, .. } = operator;
    let state = pair_states(redis, keys, partition, &user, std::iter::once(pair.clone())).await?;
    let state = state.into_iter().next().context("a pair was asked for")?;
    let lines = lines_of(redis, keys, partition, &user, settings.retention).await?;
    let records = records(&lines, &pair);
    let total: i64 = state.totals.values().sum();
    let unit = documents.attributes.get(&pair.attribute).map(|attribute| attribute.unit);
    let explained = Explained {
        user: user.to_string(),
        attribute: pair.attribute.to_string(),
        day: pair.day.to_string(),
        unit,
        total,
        value: unit.map(|unit| unit.to_exist(total).at_least_zero().to_string()),
        confirmed: state.confirmed.and_then(|confirmed| confirmed.value).map(|value| value.to_string()),
        older: total - records.iter().map(|record| record.amount).sum::<i64>(),
        totals: state.totals.into_iter().map(|(source, amount)| (source.to_string(), amount)).collect(),
        records,
        requests: requests(&lines, &pair),
    };
    if json { print_json(&explained) } else { print(&explained) }
}

/// The newest accepted version of each record, if it adds to the pair.
fn records(lines: &[TransactionLine], pair: &Pair) -> Vec<Record> {
    let mut newest = BTreeMap::new();
    let accepted = lines.iter().filter(|line| line.direction == Direction::Inbound && line.state == State::Processing);
    for line in accepted {
        let key = (line.source.clone(), line.external_id.clone());
        let known = newest.get(&key).map(|line: &&TransactionLine| (line.version, line.id));
        if known.is_none_or(|known| known < (line.version, line.id)) {
            newest.insert(key, line);
        }
    }
    let adds = |line: &TransactionLine| {
        let adding = line.contributions.iter().find(|adds| adds.attribute == pair.attribute && adds.day == pair.day)?;
        Some(Record {
            source: line.source.to_string(),
            external_id: line.external_id.to_string(),
            version: line.version.0,
            transaction: line.id.to_string(),
            amount: adding.amount,
        })
    };
    newest.into_values().filter_map(adds).collect()
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
    let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing of ours".to_owned());
    say(&format!("{user} · {attribute} · {day}"))?;
    say(&format!("Exist holds  {}", or_none(&explained.confirmed)))?;
    say(&format!("it should be {} ({} base units)", or_none(&explained.value), explained.total))?;
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
                record.transaction.clone(),
                record.amount.to_string(),
            ]
        })
        .collect();
    print_table(&["source", "record", "version", "transaction", "adds"], &rows)?;
    if explained.older != 0 {
        say(&format!(
            "{} more from records that are older than the retention time and no longer kept",
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
