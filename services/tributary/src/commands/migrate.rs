//! Taking over from a service that wrote totals: what stands in Exist is read and shown before anything is written.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, ensure};
use event::{Decimal, UserId};
use ledger::Pair;
use serde::Serialize;
use serde_json::json;
use store::{
    operate, pair_states,
    user::{Adopt, AttributeState, User},
};

use super::{Operator, confirm, connections, print_json, print_table, say};
use crate::cli::{Consent, Output};

/// How long the first reading of everybody is waited for: a back-fill may take its time.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// One day of one attribute, as it stands and as it would be.
#[derive(Serialize)]
struct Row {
    user: String,
    attribute: String,
    day: String,
    stands: String,
    ours: String,
    becomes: String,
    changes: bool,
}

/// Imports the people of a file, waits until their sources are read and Exist with them, shows what taking over
/// would change, and does it once that is confirmed.
pub(crate) async fn from_totals(
    operator: Operator,
    file: &str,
    adopt: Adopt,
    consent: Consent,
    output: Output,
) -> anyhow::Result<()> {
    let users = connections::import_to_ask(&operator, file).await?;
    eprintln!("{} people imported; nothing is written to Exist before it is decided", users.len());
    let looked = tokio::time::timeout(WAIT_MAX, until_looked_at(&operator, &users)).await;
    looked.with_context(|| format!("not everybody was read within {} s; run it again", WAIT_MAX.as_secs()))??;
    let mut rows = Vec::new();
    for user in &users {
        rows.extend(of_user(&operator, user, adopt).await?);
    }
    let changes = rows.iter().filter(|row| row.changes).count();
    if output.json {
        print_json(&json!({ "users": users.len(), "days": rows, "changes": changes, "adopt": adopt.as_str() }))?;
    } else {
        let cells = |row: &Row| {
            let mark = if row.changes { "changes" } else { "" };
            [&row.user, &row.attribute, &row.day, &row.stands, &row.ours, &row.becomes, mark].map(str::to_owned).into()
        };
        let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
        print_table(&["user", "attribute", "day", "stands", "ours", "becomes", ""], &cells)?;
        say(&format!("{} days of {} users, {changes} of them change", rows.len(), users.len()))?;
    }
    confirm(&format!("This changes {changes} values in Exist, and writes these attributes from now on."), consent)?;
    for user in &users {
        decide(&operator, user, adopt).await?;
    }
    Ok(())
}

/// Waits until every source has told its window and every day of it was looked up in Exist.
async fn until_looked_at(operator: &Operator, users: &[UserId]) -> anyhow::Result<()> {
    for user in users {
        while !is_looked_at(operator, user).await? {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

async fn is_looked_at(operator: &Operator, user: &UserId) -> anyhow::Result<bool> {
    let (partition, documents) = operator.user(user).await?;
    let exist = documents.exist.as_ref().context("an import connects to Exist")?;
    ensure!(exist.connected.is_on(), "{user}: the connection to Exist is off");
    let is_read = |(name, source): (_, &store::user::SourceConnection)| {
        let polled = documents.polled.get(name);
        !source.connected.is_on() || polled.is_some_and(|polled| polled.first_ok_at_ms > 0 && !polled.back_filling)
    };
    if !documents.sources.iter().all(is_read) {
        return Ok(false);
    }
    if operate::entries_waiting(&operator.redis, &operator.keys, partition).await? > 0 {
        return Ok(false);
    }
    let changed = operate::changed_pairs(&operator.redis, &operator.keys, partition, user).await?;
    Ok(changed.iter().all(|pair| is_found(&documents, pair) || is_refused(&documents, pair)))
}

fn is_found(documents: &User, pair: &Pair) -> bool {
    documents.found.get(&pair.attribute).is_some_and(|days| days.contains_key(&pair.day))
}

fn is_refused(documents: &User, pair: &Pair) -> bool {
    matches!(documents.attribute_states.get(&pair.attribute), Some(AttributeState::Refused { .. }))
}

async fn of_user(operator: &Operator, user: &UserId, adopt: Adopt) -> anyhow::Result<Vec<Row>> {
    let (partition, documents) = operator.user(user).await?;
    let found = documents.found.iter().flat_map(|(attribute, days)| {
        days.iter().map(|(day, value)| (Pair { attribute: attribute.clone(), day: *day }, *value))
    });
    let found: Vec<(Pair, Decimal)> = found.collect();
    let pairs: BTreeSet<Pair> = found.iter().map(|(pair, _)| pair.clone()).collect();
    let states = pair_states(&operator.redis, &operator.keys, partition, user, pairs.into_iter()).await?;
    let row = |(state, (pair, stands)): (store::PairState, &(Pair, Decimal))| {
        let unit = documents.attributes.get(&pair.attribute)?.unit;
        let ours = unit.to_exist(state.totals.values().sum()).at_least_zero();
        let becomes = if adopt == Adopt::Baseline { stands.plus(ours) } else { ours };
        Some(Row {
            user: user.to_string(),
            attribute: pair.attribute.to_string(),
            day: pair.day.to_string(),
            stands: stands.to_string(),
            ours: ours.to_string(),
            becomes: becomes.to_string(),
            changes: !becomes.is_same(*stands),
        })
    };
    Ok(states.into_iter().zip(&found).filter_map(row).collect())
}

/// Writes the decision down; the exist-writer follows it at once.
async fn decide(operator: &Operator, user: &UserId, adopt: Adopt) -> anyhow::Result<()> {
    loop {
        let (partition, documents) = operator.user(user).await?;
        let exist = documents.exist.as_ref().with_context(|| format!("{user} is not connected to Exist any more"))?;
        if operate::decide(&operator.redis, &operator.keys, partition, user, exist, adopt).await? {
            return Ok(());
        }
    }
}
