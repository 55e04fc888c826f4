//! Read back what stands in Exist.

use std::collections::{BTreeSet, HashMap};

use event::{AttributeName, Decimal, Unit};
use exist::{AttributeValues, Days, Exact};
use jiff::civil::Date;
use ledger::{Pair, Spent};
use store::{Commit, StoreError, user::AttributeState};

use super::turn::{Turn, UNOPENED};

/// What Exist shows of some pairs.
pub(super) struct Reading {
    /// Each pair's value, where the attribute is shown; a day without a row holds 0.
    values: HashMap<Pair, Decimal>,
    /// What is spent of the budget now.
    pub(super) spent: Option<Spent>,
}

impl Reading {
    /// What stands there; `None` where Exist does not show us the attribute, or shows no number.
    pub(super) fn value(&self, pair: &Pair) -> Option<Decimal> {
        self.values.get(pair).copied()
    }
}

impl Turn<'_> {
    /// Reads pairs, in as few requests as their days allow. `None`: it could not be done now, and the user
    /// is due again.
    pub(super) async fn read(&self, pairs: &BTreeSet<Pair>) -> Result<Option<Reading>, StoreError> {
        self.read_before(pairs, 0).await
    }

    /// Likewise, where so many requests must follow in the same turn.
    pub(super) async fn read_before(
        &self,
        pairs: &BTreeSet<Pair>,
        following: u32,
    ) -> Result<Option<Reading>, StoreError> {
        if let Err(wait) = self.room_for(windows(pairs) + following) {
            self.come_again(wait).await?;
            return Ok(None);
        }
        let Some(token) = self.open_token(&self.exist().access_token) else {
            self.come_again(UNOPENED).await?;
            return Ok(None);
        };
        let mut reading = Reading { values: HashMap::new(), spent: self.sending.spent };
        let mut left: BTreeSet<&Pair> = pairs.iter().collect();
        while let Some(newest) = left.iter().map(|pair| pair.day).max() {
            let oldest = newest.plus(1 - i32::from(Days::MAX.get()));
            let (here, rest): (BTreeSet<&Pair>, BTreeSet<&Pair>) = left.iter().partition(|pair| pair.day >= oldest);
            left = rest;
            let named: BTreeSet<&AttributeName> = here.iter().map(|pair| &pair.attribute).collect();
            let names: Vec<String> = named.iter().map(|attribute| self.name_in_exist(attribute)).collect();
            let mut page = Some(1);
            while let Some(number) = page {
                let spent = match self.permission_after(reading.spent) {
                    Ok(spent) => spent,
                    Err(wait) => {
                        self.come_again(wait).await?;
                        return Ok(None);
                    }
                };
                let call = self.sender.client.with_values(&token, &names, Days::MAX, newest.date(), number);
                let shown = match self.ask("values", spent, call).await? {
                    Ok(shown) => shown,
                    Err(failed) => {
                        self.failed(Commit::new(), &failed).await?;
                        return Ok(None);
                    }
                };
                reading.spent = Some(spent);
                for pair in &here {
                    let name = self.name_in_exist(&pair.attribute);
                    let rows = shown.results.iter().find(|attribute| attribute.attribute.name == name);
                    let value = rows.and_then(|rows| value(rows, pair.day.date(), self.unit(&pair.attribute)));
                    reading.values.extend(value.map(|value| ((*pair).clone(), value)));
                }
                page = shown.next;
            }
        }
        Ok(Some(reading))
    }

    /// The attribute's name in Exist.
    pub(super) fn name_in_exist(&self, attribute: &AttributeName) -> String {
        match self.documents.attribute_states.get(attribute) {
            Some(AttributeState::Owned { name, .. }) => name.clone(),
            _ => attribute.to_string(),
        }
    }

    fn unit(&self, attribute: &AttributeName) -> Unit {
        self.documents.attributes.get(attribute).map_or(Unit::Count, |attribute| attribute.unit)
    }
}

/// How many requests it takes to read pairs, if each fits a page.
fn windows(pairs: &BTreeSet<Pair>) -> u32 {
    let days: BTreeSet<_> = pairs.iter().map(|pair| pair.day).collect();
    let (mut windows, mut before) = (0, None);
    for day in days.into_iter().rev() {
        if before.is_none_or(|before| day < before) {
            windows += 1;
            before = Some(day.plus(1 - i32::from(Days::MAX.get())));
        }
    }
    windows
}

/// A day's value: 0 where there is no row, `None` where there is something else than a number of ours.
fn value(rows: &AttributeValues, date: Date, unit: Unit) -> Option<Decimal> {
    let Some(row) = rows.values.iter().find(|row| row.date == date) else { return Some(unit.to_exist(0)) };
    match &row.value {
        exist::Reading::Null => Some(unit.to_exist(0)),
        exist::Reading::Number(number) => decimal(number, unit),
        exist::Reading::Text(_) | exist::Reading::Other => None,
    }
}

/// A number of Exist's in the spelling of the unit, or with two decimals where it has them all the same.
pub(super) fn decimal(number: &Exact, unit: Unit) -> Option<Decimal> {
    let hundredths = || number.to_hundredths().map(Decimal::hundredths);
    match unit {
        Unit::Milliunits => hundredths(),
        Unit::Count | Unit::Seconds | Unit::CentiMegabytes => number.to_whole().map(Decimal::whole).or_else(hundredths),
    }
}
