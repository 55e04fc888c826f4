//! Comparing what we left in Exist with what stands there.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use event::{Partition, UserId};
use serde::Serialize;
use serde_json::json;
use store::{
    operate,
    user::{AuditAsked, Audited, Difference, document, field, names},
};

use super::{AskedWrongly, Operator, print_json, print_table, say, share::Share};
use crate::cli::Output;

/// How long one user's audit is waited for: a budget that is spent comes back within an hour.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Most users who are asked about at once.
const AT_ONCE: usize = 32;

/// Whose values.
#[derive(Debug)]
pub(crate) enum Whose {
    User(UserId),
    Share(Share),
}

impl Whose {
    /// # Errors
    /// [`AskedWrongly`]: neither or both are named.
    pub(crate) fn of(user: Option<UserId>, share: Option<Share>) -> Result<Self, AskedWrongly> {
        match (user, share) {
            (Some(user), None) => Ok(Self::User(user)),
            (None, Some(share)) => Ok(Self::Share(share)),
            _ => Err(AskedWrongly("name a user, or a --share such as 1/64".to_owned())),
        }
    }
}

#[derive(Serialize)]
struct Row {
    user: String,
    attribute: String,
    day: String,
    mode: &'static str,
    /// `null` where nobody can tell.
    left: Option<String>,
    found: String,
    repaired: bool,
}

impl Row {
    fn of(user: &UserId, difference: &Difference) -> Self {
        Self {
            user: user.to_string(),
            attribute: difference.attribute.to_string(),
            day: difference.day.to_string(),
            mode: match difference.mode {
                store::user::Mode::Total => "total",
                store::user::Mode::Increment => "increment",
            },
            left: difference.left.map(|left| left.to_string()),
            found: difference.found.to_string(),
            repaired: difference.repaired,
        }
    }
}

/// Reads everything back and says what differs; with `repair` it is written again.
pub(crate) async fn audit(operator: &Operator, whose: &Whose, repair: bool, output: Output) -> anyhow::Result<()> {
    let users = match whose {
        Whose::User(user) => vec![(operator.user(user).await?.0, user.clone())],
        Whose::Share(share) => of_share(operator, *share).await?,
    };
    let mut audited: BTreeMap<UserId, Audited> = BTreeMap::new();
    let mut problems = Vec::new();
    for some in users.chunks(AT_ONCE) {
        let asked = some.iter().map(|(partition, user)| one(operator, *partition, user, repair));
        for ((_, user), result) in some.iter().zip(futures::future::join_all(asked).await) {
            match result {
                Ok(found) => drop(audited.insert(user.clone(), found)),
                Err(problem) => problems.push(format!("{user}: {problem:#}")),
            }
        }
    }
    let rows: Vec<Row> = audited
        .iter()
        .flat_map(|(user, audited)| audited.differences.iter().map(move |difference| Row::of(user, difference)))
        .collect();
    let compared: u64 = audited.values().map(|audited| audited.compared).sum();
    let unreadable: Vec<String> = audited
        .iter()
        .flat_map(|(user, audited)| audited.unreadable.iter().map(move |attribute| format!("{user} {attribute}")))
        .collect();
    if output.json {
        print_json(&json!({
            "users": audited.len(), "compared": compared, "differences": rows, "unreadable": unreadable,
            "problems": problems,
        }))?;
    } else {
        print(&rows, &unreadable)?;
        say(&format!("{compared} values of {} users compared, {} differ", audited.len(), rows.len()))?;
    }
    problems.iter().for_each(|problem| eprintln!("{problem}"));
    let left = rows.iter().filter(|row| !row.repaired).count();
    anyhow::ensure!(problems.is_empty(), "{} users could not be compared", problems.len());
    anyhow::ensure!(left == 0, "{left} values are not what we left in Exist; --repair writes them again");
    Ok(())
}

async fn of_share(operator: &Operator, share: Share) -> anyhow::Result<Vec<(Partition, UserId)>> {
    let mut users = Vec::new();
    for partition in operator.partitions.all() {
        let names = names(&operator.redis, &operator.keys, partition).await?;
        users.extend(names.into_iter().filter(|user| share.holds(user)).map(|user| (partition, user)));
    }
    Ok(users)
}

async fn one(operator: &Operator, partition: Partition, user: &UserId, repair: bool) -> anyhow::Result<Audited> {
    let (_, documents) = operator.user(user).await?;
    let exist = documents.exist.as_ref().context("not connected to Exist")?;
    anyhow::ensure!(exist.connected.is_on(), "the connection to Exist is off");
    let asked = AuditAsked { repair, asked_ms: operate::now_ms(&operator.redis).await? };
    let wish = (field::AUDIT_ASKED.to_owned(), document(&asked));
    operate::ask(&operator.redis, &operator.keys, partition, user, &wish).await?;
    let answered = async {
        loop {
            let (_, documents) = operator.user(user).await?;
            match documents.audited {
                Some(audited) if audited.asked_ms == asked.asked_ms => return anyhow::Ok(audited),
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    };
    let waited = tokio::time::timeout(WAIT_MAX, answered).await;
    waited.with_context(|| format!("no exist-writer has read it within {} s", WAIT_MAX.as_secs()))?
}

fn print(rows: &[Row], unreadable: &[String]) -> anyhow::Result<()> {
    if !rows.is_empty() {
        let cells = |row: &Row| {
            let left = row.left.clone().unwrap_or_else(|| "?".to_owned());
            let what = if row.repaired { "written again" } else { "left alone" };
            [&row.user, &row.attribute, &row.day, row.mode, &left, &row.found, what].map(str::to_owned).into()
        };
        let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
        print_table(&["user", "attribute", "day", "mode", "left", "found", ""], &cells)?;
    }
    unreadable.iter().try_for_each(|which| say(&format!("{which}: Exist does not show us its values")))
}
