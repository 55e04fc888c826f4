//! What a transaction adds to its day.

use std::collections::BTreeSet;

use event::{AttributeName, Contribution, Day, Unit};
use serde_json::Value;
use source::{Malformed, MappingError, RulesByAttribute, Zones};

use crate::transaction::{Counted, Counts};

/// What an attribute takes of a transaction.
#[derive(Debug)]
enum Flow {
    /// What left these categories.
    Out(BTreeSet<String>),
    /// What came in.
    Earned,
}

impl Flow {
    fn try_new(attribute: &AttributeName, rule: &Value) -> Result<Self, MappingError> {
        let wrong = |field: &str, problem: &str| {
            let (field, problem) = (field.to_owned(), problem.to_owned());
            MappingError { attribute: attribute.clone(), field, problem }
        };
        match rule.get("flow").and_then(Value::as_str) {
            Some("earned") => Ok(Self::Earned),
            Some("spent" | "saved") => {
                let categories = rule.get("categories").cloned().unwrap_or_default();
                match serde_json::from_value::<BTreeSet<String>>(categories) {
                    Ok(categories) if !categories.is_empty() => Ok(Self::Out(categories)),
                    _ => Err(wrong("categories", "must be a list of at least one category's id")),
                }
            }
            _ => Err(wrong("flow", "must be one of spent, earned, saved")),
        }
    }

    fn of(&self, part: &Counted) -> i64 {
        match self {
            Self::Out(categories) if categories.contains(&part.category) => -part.amount,
            Self::Earned if part.inflow => part.amount,
            _ => 0,
        }
    }
}

/// One connection's rules, compiled.
pub(crate) struct Mapping {
    attributes: Vec<(AttributeName, Unit)>,
    flows: Vec<Flow>,
}

impl Mapping {
    pub(crate) fn try_new(rules: &RulesByAttribute) -> Result<Self, Vec<MappingError>> {
        let (mut flows, mut errors) = (Vec::new(), Vec::new());
        for (attribute, rule) in rules {
            match Flow::try_new(attribute, rule) {
                Ok(flow) => flows.push(flow),
                Err(wrong) => errors.push(wrong),
            }
        }
        let attributes = rules.keys().map(|attribute| (attribute.clone(), Unit::Milliunits)).collect();
        if errors.is_empty() { Ok(Self { attributes, flows }) } else { Err(errors) }
    }
}

impl source::Mapping for Mapping {
    fn attributes(&self) -> &[(AttributeName, Unit)] {
        &self.attributes
    }

    /// The date is its user's: no zone moves it.
    fn count(&self, payload: &str, _: &Zones) -> Result<source::Counted, Malformed> {
        let counts: Counts = serde_json::from_str(payload)
            .map_err(|error| Malformed(format!("ynab: no payload of a transaction: {error}")))?;
        let day: Day = counts.date.to_string().parse().expect("a date is a day");
        let adds = self.attributes.iter().zip(&self.flows).map(|((attribute, _), flow)| Contribution {
            attribute: attribute.clone(),
            day,
            amount: counts.parts.iter().map(|part| flow.of(part)).sum(),
        });
        Ok(source::Counted::Adds(adds.filter(|add| add.amount != 0).collect()))
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use serde_json::json;
    use source::Mapping as _;

    use super::*;

    #[test]
    fn each_flow_takes_its_legs_and_a_refund_is_negative() {
        let rules = json!({"money_spent": {"flow": "spent", "categories": ["food", "fun"]},
            "money_saved": {"flow": "saved", "categories": ["trip"]}, "money_earned": {"flow": "earned"}});
        let mapping = Mapping::try_new(&serde_json::from_value(rules).unwrap()).unwrap();
        let count = |payload: &str| {
            let zones = Zones::always(TimeZone::get("Pacific/Kiritimati").unwrap());
            let source::Counted::Adds(adds) = mapping.count(payload, &zones).unwrap() else { panic!("it is over") };
            adds.into_iter().map(|add| (add.attribute.to_string(), add.day.to_string(), add.amount)).collect::<Vec<_>>()
        };
        let split = r#"{"date":"2026-05-01","parts":[{"category":"food","amount":-10},{"category":"fun","amount":4},{"category":"trip","amount":-7},{"category":"in","amount":9,"inflow":true}]}"#;
        let expected = [("money_earned", 9), ("money_saved", 7), ("money_spent", 6)];
        assert_eq!(count(split), expected.map(|(name, amount)| (name.to_owned(), "2026-05-01".to_owned(), amount)));
        let refund = r#"{"date":"2026-05-01","parts":[{"category":"food","amount":5}]}"#;
        assert_eq!(count(refund), [("money_spent".to_owned(), "2026-05-01".to_owned(), -5)]);
    }

    #[test]
    fn each_wrong_rule_is_named() {
        let rules =
            json!({"a": {"flow": "spent"}, "b": {"flow": "saved", "categories": [1]}, "c": {"flow": "lost"}, "d": 3});
        let errors = Mapping::try_new(&serde_json::from_value(rules).unwrap()).err().unwrap();
        let found: Vec<_> = errors.iter().map(|error| format!("{}.{}", error.attribute, error.field)).collect();
        assert_eq!(found, ["a.categories", "b.categories", "c.flow", "d.flow"]);
    }
}
