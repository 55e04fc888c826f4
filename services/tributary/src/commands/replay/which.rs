//! Whose ledgers are rebuilt: one record's, one user's, those of a share, or all.

use clap::Args;
use event::{ExternalId, Partition, SourceName, UserId};
use ledger::RecordId;
use store::user::names;

use super::Operator;
use crate::commands::share::Share;

/// Which records of whom.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("whose").required(true).args(["user", "share", "all"]))]
pub(crate) struct Which {
    /// One record of this user, by its id at the source, and the days it counts on.
    #[arg(long, value_name = "ID", requires = "user")]
    external_id: Option<ExternalId>,
    /// The record's source, where several have the id.
    #[arg(long, requires = "external_id")]
    source: Option<SourceName>,
    /// One user.
    #[arg(long)]
    user: Option<UserId>,
    /// One share of all users, by a hash of their names: 1/64 to 64/64 are everybody.
    #[arg(long, value_name = "K/N")]
    share: Option<Share>,
    /// Everybody.
    #[arg(long)]
    all: bool,
}

impl Which {
    /// The users, partition by partition.
    ///
    /// # Errors
    /// The user is not connected, or Redis does not answer.
    pub(super) async fn people(&self, operator: &Operator) -> anyhow::Result<Vec<(Partition, UserId)>> {
        if let Some(user) = &self.user {
            let (partition, _) = operator.user(user).await?;
            return Ok(vec![(partition, user.clone())]);
        }
        let mut people = Vec::new();
        for partition in operator.partitions.all() {
            let names = names(&operator.redis, &operator.keys, partition).await?;
            let taken = names.into_iter().filter(|user| self.share.is_none_or(|share| share.holds(user)));
            people.extend(taken.map(|user| (partition, user)));
        }
        Ok(people)
    }

    /// Whether a record is asked for.
    pub(super) fn takes(&self, (source, id): &RecordId) -> bool {
        self.external_id.as_ref().is_none_or(|wanted| wanted == id)
            && self.source.as_ref().is_none_or(|wanted| wanted == source)
    }

    /// The one record that is asked for.
    pub(super) const fn external_id(&self) -> Option<&ExternalId> {
        self.external_id.as_ref()
    }
}
