//! Transactions and their legs.

use jiff::civil::Date;
use serde_json::{Value, json};

/// One leg of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// In thousandths; what leaves is negative.
    pub amount: i64,
    /// Its category.
    pub category: Option<String>,
}

/// A transaction to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTransaction {
    /// The date its user chose.
    pub date: Date,
    /// In thousandths; what leaves is negative. The sum of the legs, if there are any.
    pub amount: i64,
    /// One of [`super::ACCOUNTS`].
    pub account: String,
    /// Its category.
    pub category: Option<String>,
    /// The other account of a transfer.
    pub transfer_account: Option<String>,
    /// The legs of a split.
    pub legs: Vec<Leg>,
}

/// One change of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Another date.
    Date(Date),
    /// Another amount; no legs any more.
    Amount(i64),
    /// Another category.
    Category(Option<String>),
    /// Split into these legs, or not split any more.
    Legs(Vec<Leg>),
}

/// A transaction as the service holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its id.
    pub id: String,
    /// What it says.
    pub told: NewTransaction,
    /// It is deleted.
    pub deleted: bool,
    /// The number of its last change.
    pub(super) log: i64,
}

impl Transaction {
    pub(super) fn new(id: &str, told: NewTransaction, log: i64) -> Transaction {
        Transaction { id: id.to_owned(), told, deleted: false, log }
    }

    pub(super) fn apply(&mut self, edit: Edit) {
        match edit {
            Edit::Date(date) => self.told.date = date,
            Edit::Amount(amount) => {
                self.told.amount = amount;
                self.told.legs.clear();
            }
            Edit::Category(category) => self.told.category = category,
            Edit::Legs(legs) => {
                if !legs.is_empty() {
                    self.told.amount = legs.iter().map(|leg| leg.amount).sum();
                }
                self.told.legs = legs;
            }
        }
    }

    /// The transaction as one JSON object.
    pub(super) fn row(&self) -> Value {
        let NewTransaction { date, amount, account, category, transfer_account, legs } = &self.told;
        let leg = |(index, leg): (usize, &Leg)| {
            json!({"id": format!("{}-{index}", self.id), "transaction_id": self.id, "amount": leg.amount, "memo": null,
                "category_id": leg.category, "transfer_account_id": null, "deleted": false})
        };
        let split = !legs.is_empty();
        json!({
            "id": self.id, "date": date.to_string(), "amount": amount, "memo": "Café ☕", "cleared": "cleared",
            "approved": true, "flag_color": "", "account_id": account, "account_name": account, "payee_id": null,
            "category_id": if split { Some("split-category".to_owned()) } else { category.clone() },
            "category_name": if split { Some("Split") } else { None }, "transfer_account_id": transfer_account,
            "transfer_transaction_id": null, "matched_transaction_id": null, "import_id": null,
            "deleted": self.deleted, "subtransactions": legs.iter().enumerate().map(leg).collect::<Vec<_>>(),
        })
    }
}
