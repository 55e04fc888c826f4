//! One row of an answer: a transaction and its legs, or what is wrong with it.

use event::ExternalId;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use source::{Fields, Row, integer, text};

use crate::plan::Plan;

/// Largest amount that is taken for real, in thousandths of a currency unit.
const AMOUNT_MAX: i64 = 1_000_000_000_000;

/// Name of the category of a row whose legs have the real ones.
const SPLIT: &str = "Split";

/// What counts of a transaction: the payload of its row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Its date, as its user sees it.
    pub(crate) date: Date,
    /// What of it counts.
    pub(crate) parts: Vec<Counted>,
}

/// One leg, or the whole of a transaction without legs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) category: String,
    /// In thousandths; money that leaves is negative.
    pub(crate) amount: i64,
    /// The category is the one that money comes in through.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) inflow: bool,
}

/// One leg, or the whole of a transaction without legs, as it was told.
#[derive(Debug, Clone)]
struct Part {
    amount: i64,
    category: Option<String>,
    transfer_account: Option<String>,
}

/// A transaction as it was told.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    pub(crate) id: ExternalId,
    pub(crate) deleted: bool,
    pub(crate) date: Date,
    account: String,
    amount: i64,
    parts: Vec<Part>,
    is_split: bool,
    /// The row it is matched with, if it was imported itself.
    pub(crate) matched: Option<String>,
}

impl Transaction {
    /// Reads a row.
    ///
    /// # Errors
    /// The row as a malformed one.
    pub(crate) fn of(row: &RawValue) -> Result<Self, Box<Row>> {
        let malformed = |id: Option<&ExternalId>, problem: String| {
            let name = id.map_or("without id".to_owned(), ToString::to_string);
            Box::new(Row::malformed(id.cloned(), None, row.get(), format!("ynab: transaction {name}: {problem}")))
        };
        let fields = Fields::of(row).map_err(|problem| malformed(None, problem))?;
        let id = |raw| ExternalId::try_new(&text(raw)?).ok();
        let id = fields.required("id", "an id", id).map_err(|problem| malformed(None, problem))?;
        read(&fields, &id).map_err(|problem| malformed(Some(&id), problem))
    }

    /// Whether its legs do not make it up: then only the transaction by itself tells.
    pub(crate) fn is_incomplete(&self) -> bool {
        let sum: i128 = self.parts.iter().map(|part| i128::from(part.amount)).sum();
        !self.deleted && self.is_split && sum != i128::from(self.amount)
    }

    /// Whether it names an account that is not known.
    pub(crate) fn is_unknown_to(&self, plan: &Plan) -> bool {
        let others = self.parts.iter().filter_map(|part| part.transfer_account.as_deref());
        std::iter::once(self.account.as_str()).chain(others).any(|account| plan.is_on_budget(account).is_none())
    }

    /// What of it counts. `is_known` tells whether a row is there that this one may be matched with.
    pub(crate) fn counts(&self, plan: &Plan, is_known: impl Fn(&str) -> bool) -> Counts {
        let off_budget = plan.is_on_budget(&self.account) == Some(false);
        let is_double = self.matched.as_deref().is_some_and(is_known);
        let mut parts: Vec<Counted> = Vec::new();
        if !off_budget && !is_double {
            parts.extend(self.parts.iter().filter_map(|part| part.counted(plan)));
            parts.sort();
        }
        Counts { date: self.date, parts }
    }
}

impl Part {
    fn counted(&self, plan: &Plan) -> Option<Counted> {
        let category = self.category.clone().filter(|category| !plan.is_none(category))?;
        // Money that goes from one account on budget to another is neither spent nor earned.
        let other = self.transfer_account.as_deref();
        if other.is_some_and(|account| plan.is_on_budget(account) != Some(false)) {
            return None;
        }
        let inflow = plan.is_inflow(&category);
        Some(Counted { category, amount: self.amount, inflow })
    }

    fn of(fields: &Fields<'_>) -> Result<Self, String> {
        let amount = |raw| integer(raw).filter(|amount| amount.checked_abs().is_some_and(|size| size <= AMOUNT_MAX));
        let owned = |raw| text(raw).map(std::borrow::Cow::into_owned);
        Ok(Self {
            amount: fields.required("amount", "thousandths, a plausible integer", amount)?,
            category: fields.optional("category_id", "an id", owned)?,
            transfer_account: fields.optional("transfer_account_id", "an id", owned)?,
        })
    }
}

/// Reads what counts, or names the first field that cannot be read.
fn read(fields: &Fields<'_>, id: &ExternalId) -> Result<Transaction, String> {
    let owned = |raw| text(raw).map(std::borrow::Cow::into_owned);
    let truth = |raw| serde_json::from_str::<bool>(raw).ok();
    let date = |raw| Date::strptime("%Y-%m-%d", text(raw)?.as_ref()).ok();
    let deleted = fields.optional("deleted", "a truth value", truth)?.unwrap_or(false);
    let is_list = |raw| serde_json::from_str::<Vec<&RawValue>>(raw).ok();
    let legs = fields.optional("subtransactions", "a list of legs", is_list)?.unwrap_or_default();
    let whole = Part::of(fields)?;
    let mut parts = Vec::new();
    for leg in legs {
        let within = |problem: String| format!("{problem} in \"subtransactions\"");
        let leg = Fields::of(leg).map_err(|problem| format!("a leg {problem}"))?;
        if leg.optional("deleted", "a truth value", truth).map_err(within)? != Some(true) {
            parts.push(Part::of(&leg).map_err(within)?);
        }
    }
    let category = fields.optional("category_name", "a text", owned)?;
    let is_split = !parts.is_empty() || category.as_deref() == Some(SPLIT);
    let amount = whole.amount;
    if !is_split {
        parts.push(whole);
    }
    let is_imported = fields.raw("import_id").is_some();
    let matched = fields.optional("matched_transaction_id", "an id", owned)?.filter(|_| is_imported);
    Ok(Transaction {
        id: id.clone(),
        deleted,
        date: fields.required("date", "a date", date)?,
        account: fields.required("account_id", "an id", owned)?,
        amount,
        parts,
        is_split,
        matched,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(json: &Value) -> Box<RawValue> {
        RawValue::from_string(json.to_string()).unwrap()
    }

    fn good() -> Value {
        json!({"id": "tr1", "date": "2026-05-01", "amount": -12340, "account_id": "ac1", "category_id": "ca1",
            "transfer_account_id": null, "deleted": false, "subtransactions": [], "memo": "private"})
    }

    #[test]
    fn a_wrong_field_is_named_and_the_row_is_kept() {
        let cases = [
            ("id", json!(7), r#"without id: field "id" is a number, expected an id"#),
            ("date", json!("1.5.2026"), r#"tr1: field "date" is a text, expected a date"#),
            (
                "amount",
                json!(i64::MIN),
                r#"tr1: field "amount" is a number, expected thousandths, a plausible integer"#,
            ),
            ("account_id", Value::Null, r#"tr1: field "account_id" is null, expected an id"#),
            (
                "subtransactions",
                json!([{"amount": "7"}]),
                r#"tr1: field "amount" is a text, expected thousandths, a plausible integer in "subtransactions""#,
            ),
        ];
        for (field, value, problem) in cases {
            let mut wrong = good();
            wrong[field] = value;
            let malformed = Transaction::of(&row(&wrong)).unwrap_err();
            assert_eq!(malformed.problem, format!("ynab: transaction {problem}"));
            assert_eq!(malformed.payload, wrong.to_string());
        }
        assert!(Transaction::of(&row(&good())).is_ok());
    }

    #[test]
    fn legs_that_do_not_make_up_their_parent_are_incomplete_and_deleted_ones_are_gone() {
        let leg = |amount: i64, deleted: bool| json!({"amount": amount, "category_id": "ca2", "deleted": deleted});
        let mut split = good();
        split["category_name"] = json!("Split");
        split["subtransactions"] = json!([leg(-10000, false), leg(-2340, false), leg(-5, true)]);
        assert!(!Transaction::of(&row(&split)).unwrap().is_incomplete());
        split["subtransactions"] = json!([leg(-10000, false), leg(-2340, true)]);
        assert!(Transaction::of(&row(&split)).unwrap().is_incomplete());
        split["subtransactions"] = json!([]);
        assert!(Transaction::of(&row(&split)).unwrap().is_incomplete());
    }
}
