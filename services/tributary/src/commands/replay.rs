//! The ledger rebuilt from its archive, compared with what stands, and put right.

mod repair; // under the user's lock
mod report; // what differs, for people and programs
mod which; // whose ledgers

use std::io::{IsTerminal, Write};

use anyhow::{Context, ensure};
use event::{Partition, UserId};
use ledger::{Buckets, Difference, Rebuilt, RecordId, compare};
use store::{
    Kept, kept,
    user::{User, users},
};

pub(crate) use which::Which;

use super::{Operator, confirm};
use crate::cli::{Consent, Output};
use report::Report;

/// Every so many users the progress is told.
const TELL_EVERY: usize = 20;

/// Whether to change anything, and who answers.
#[derive(Clone, Copy)]
pub(crate) struct Apply {
    pub(crate) apply: bool,
    pub(crate) consent: Consent,
}

/// Rebuilds and compares; puts right what differs if told to.
///
/// # Errors
/// Something differs and was not put right, or could not be read.
pub(crate) async fn replay(operator: &Operator, which: &Which, apply: Apply, output: Output) -> anyhow::Result<()> {
    let people = which.people(operator).await?;
    let progress = Progress { of: people.len(), shown: people.len() > TELL_EVERY && std::io::stderr().is_terminal() };
    let mut report = Report::default();
    for (done, (partition, user)) in people.iter().enumerate() {
        progress.tell(done);
        match examine(operator, *partition, user, which).await {
            Ok(examined) => report.take(user, *partition, &examined),
            Err(error) => report.unreadable(user, &error),
        }
    }
    progress.done();
    if let Some(id) = which.external_id() {
        ensure!(report.records() > 0 || report.is_unreadable(), "nothing is archived of a record {id}");
    }
    report.differ(output)?;
    if apply.apply && report.differs() {
        let ledgers = report.wrong().len();
        confirm(&format!("This puts right what differs in {ledgers} ledgers and sends it to Exist."), apply.consent)?;
        for (user, partition) in report.wrong() {
            let result = repair::repair(operator, partition, &user, which).await;
            report.tried(&user, result);
        }
    }
    report.finish(output)
}

/// One user's ledger beside its archive.
struct Examined {
    kept: Kept,
    /// `None` if nothing is archived.
    rebuilt: Option<Rebuilt>,
    /// How many of the records are asked for.
    records: usize,
    differences: Vec<Difference>,
}

/// Reads all of it at one moment, rebuilds and compares.
async fn examine(operator: &Operator, partition: Partition, user: &UserId, which: &Which) -> anyhow::Result<Examined> {
    let Operator { redis, keys, settings, .. } = operator;
    let documents = users(redis, keys, partition, std::slice::from_ref(user)).await?;
    let documents: User = documents.into_iter().next().unwrap_or_default();
    let (buckets, days) = (Buckets::new(settings.retention), settings.backfill_days);
    let kept = kept(redis, keys, partition, user, &documents, buckets, days).await.context("reading the archive")?;
    let Some(rebuilt) = kept.archive.rebuild() else {
        return Ok(Examined { kept, rebuilt: None, records: 0, differences: Vec::new() });
    };
    let mut differences = compare(&kept.archive, &rebuilt, &kept.found, &kept.days);
    let wanted: Vec<&RecordId> = rebuilt.records.keys().filter(|record| which.takes(record)).collect();
    if which.external_id().is_some() {
        differences.retain(|difference| wanted.iter().any(|record| difference.concerns(record)));
    }
    let records = wanted.len();
    Ok(Examined { kept, rebuilt: Some(rebuilt), records, differences })
}

/// Tells on a terminal how far it got.
struct Progress {
    of: usize,
    shown: bool,
}

impl Progress {
    fn tell(&self, done: usize) {
        if self.shown && done.is_multiple_of(TELL_EVERY) {
            self.line(&format!("{done} of {} ledgers", self.of));
        }
    }

    fn done(&self) {
        if self.shown {
            self.line("");
        }
    }

    fn line(&self, text: &str) {
        let mut stderr = std::io::stderr();
        // Progress that cannot be shown is no reason to stop.
        let _unshown = write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush());
    }
}
