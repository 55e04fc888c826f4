//! Accounts and categories: what kind of money a row moves.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use source::SourceError;

use crate::api::Api;

/// What the rows of a plan refer to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Each account, and whether it is on budget.
    accounts: BTreeMap<String, bool>,
    /// The categories that money comes in through.
    inflow: BTreeSet<String>,
    /// Categories of YNAB's own that hold what has none.
    none: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Accounts {
    accounts: Vec<Account>,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    on_budget: bool,
}

#[derive(Deserialize)]
struct Groups {
    category_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: Option<String>,
    #[serde(default)]
    internal: bool,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Category {
    id: String,
    name: Option<String>,
    #[serde(default)]
    internal: bool,
}

/// The group of YNAB's own categories, where `internal` is missing (before specification 1.85).
const INTERNAL_GROUP: &str = "Internal Master Category";

impl Plan {
    /// Reads accounts and categories: two requests.
    pub(crate) async fn read(api: &Api<'_>) -> Result<Self, SourceError> {
        let Accounts { accounts } = api.list("accounts").await?;
        let Groups { category_groups } = api.list("categories").await?;
        let mut plan = Self::default();
        plan.accounts.extend(accounts.into_iter().map(|account| (account.id, account.on_budget)));
        for group in category_groups {
            let is_internal = group.internal || group.name.as_deref() == Some(INTERNAL_GROUP);
            for category in group.categories.into_iter().filter(|category| category.internal || is_internal) {
                let is_inflow = category.name.as_deref().is_some_and(|name| name.starts_with("Inflow:"));
                let kind = if is_inflow { &mut plan.inflow } else { &mut plan.none };
                kind.insert(category.id);
            }
        }
        Ok(plan)
    }

    /// Whether an account is on budget; `None` if it is not known.
    pub(crate) fn is_on_budget(&self, account: &str) -> Option<bool> {
        self.accounts.get(account).copied()
    }

    /// Whether money comes in through this category.
    pub(crate) fn is_inflow(&self, category: &str) -> bool {
        self.inflow.contains(category)
    }

    /// Whether this category stands for having none.
    pub(crate) fn is_none(&self, category: &str) -> bool {
        self.none.contains(category)
    }
}
