//! What a record adds to which day.

use event::{AttributeName, Contribution, Unit};
use serde_json::Value;
use source::{Counted, Malformed, MappingError, RulesByAttribute, Zones};

use crate::object::Counts;

/// What an attribute can count.
const WORDS: [&str; 6] =
    ["issues_opened", "issues_closed", "comments_written", "pull_requests_opened", "pull_requests_merged", "commits"];

/// One connection's rules, compiled.
pub(crate) struct Mapping {
    attributes: Vec<(AttributeName, Unit)>,
    words: Vec<&'static str>,
}

impl Mapping {
    pub(crate) fn try_new(rules: &RulesByAttribute) -> Result<Self, Vec<MappingError>> {
        let (mut words, mut errors) = (Vec::new(), Vec::new());
        for (attribute, rule) in rules {
            let named = rule.get("from").and_then(Value::as_str);
            match WORDS.into_iter().find(|word| named == Some(word)) {
                Some(word) => words.push(word),
                None => errors.push(MappingError {
                    attribute: attribute.clone(),
                    field: "from".to_owned(),
                    problem: format!("must be one of {}", WORDS.join(", ")),
                }),
            }
        }
        let attributes = rules.keys().map(|attribute| (attribute.clone(), Unit::Count)).collect();
        if errors.is_empty() { Ok(Self { attributes, words }) } else { Err(errors) }
    }
}

impl source::Mapping for Mapping {
    fn attributes(&self) -> &[(AttributeName, Unit)] {
        &self.attributes
    }

    fn count(&self, payload: &str, zones: &Zones) -> Result<Counted, Malformed> {
        let Counts { counts } = serde_json::from_str(payload)
            .map_err(|error| Malformed(format!("github: no payload of a record: {error}")))?;
        let adds = self.attributes.iter().zip(&self.words).filter_map(|((attribute, _), word)| {
            let day = zones.day_of(*counts.get(*word)?);
            Some(Contribution { attribute: attribute.clone(), day, amount: 1 })
        });
        Ok(Counted::Adds(adds.collect()))
    }
}
