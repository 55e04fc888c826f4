//! What an entry adds to which day.

use std::collections::BTreeSet;

use event::{AttributeName, Contribution, Unit};
use jiff::SignedDuration;
use serde::de::DeserializeOwned;
use serde_json::Value;
use source::{Counted, Malformed, MappingError, RulesByAttribute, Zones};

use crate::{
    entry::{Counts, DURATION_MAX},
    split::split,
};

/// Which entries feed an attribute: those with any of these.
#[derive(Debug, Default)]
struct Rule {
    projects: BTreeSet<i64>,
    clients: BTreeSet<i64>,
    tags: BTreeSet<String>,
}

impl Rule {
    fn try_new(attribute: &AttributeName, rule: &Value) -> Result<Self, Vec<MappingError>> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, problem: &str| {
            let (field, problem) = (field.to_owned(), problem.to_owned());
            errors.push(MappingError { attribute: attribute.clone(), field, problem });
        };
        let projects = list(rule, "projects").unwrap_or_else(|| {
            wrong("projects", "must be a list of project ids");
            BTreeSet::new()
        });
        let clients = list(rule, "clients").unwrap_or_else(|| {
            wrong("clients", "must be a list of client ids");
            BTreeSet::new()
        });
        let tags = list(rule, "tags").unwrap_or_else(|| {
            wrong("tags", "must be a list of tag names");
            BTreeSet::new()
        });
        let named = ["projects", "clients", "tags"].iter().filter_map(|field| rule.get(field));
        if named.filter(|list| list.as_array().is_none_or(|list| !list.is_empty())).count() == 0 {
            wrong("projects", "or clients or tags must name at least one");
        }
        if errors.is_empty() { Ok(Self { projects, clients, tags }) } else { Err(errors) }
    }

    fn takes(&self, counts: &Counts) -> bool {
        counts.project_id.is_some_and(|id| self.projects.contains(&id))
            || counts.client_id.is_some_and(|id| self.clients.contains(&id))
            || counts.tags.iter().any(|tag| self.tags.contains(tag))
    }
}

/// A list of a rule; empty when it is missing, `None` when it is no list of this kind.
fn list<T: DeserializeOwned + Ord>(rule: &Value, field: &str) -> Option<BTreeSet<T>> {
    rule.get(field).map_or(Some(BTreeSet::new()), |list| serde_json::from_value(list.clone()).ok())
}

/// One connection's rules, compiled.
pub(crate) struct Mapping {
    attributes: Vec<(AttributeName, Unit)>,
    rules: Vec<Rule>,
}

impl Mapping {
    pub(crate) fn try_new(rules: &RulesByAttribute) -> Result<Self, Vec<MappingError>> {
        let (mut compiled, mut errors) = (Vec::new(), Vec::new());
        for (attribute, rule) in rules {
            match Rule::try_new(attribute, rule) {
                Ok(rule) => compiled.push(rule),
                Err(wrong) => errors.extend(wrong),
            }
        }
        let attributes = rules.keys().map(|attribute| (attribute.clone(), Unit::Seconds)).collect();
        if errors.is_empty() { Ok(Self { attributes, rules: compiled }) } else { Err(errors) }
    }
}

impl source::Mapping for Mapping {
    fn attributes(&self) -> &[(AttributeName, Unit)] {
        &self.attributes
    }

    fn count(&self, payload: &str, zones: &Zones) -> Result<Counted, Malformed> {
        let counts: Counts = serde_json::from_str(payload)
            .map_err(|error| Malformed(format!("toggl: no payload of a time entry: {error}")))?;
        if counts.duration < 0 {
            return Ok(Counted::NotYet);
        }
        // An end that is missing, or too far off to be true, follows from the duration.
        let length = |stop: jiff::Timestamp| stop.as_second() - counts.start.as_second();
        let stop = counts
            .stop
            .filter(|&stop| length(stop) <= DURATION_MAX)
            .or_else(|| counts.start.checked_add(SignedDuration::from_secs(counts.duration)).ok());
        let Some(stop) = stop else {
            return Err(Malformed("toggl: the entry ends after the end of time".to_owned()));
        };
        let days = split(counts.start, stop, counts.duration, zones);
        let fed = self.attributes.iter().zip(&self.rules).filter(|(_, rule)| rule.takes(&counts));
        let adds = fed.flat_map(|((attribute, _), _)| {
            let seconds = days.iter().filter(|(_, seconds)| *seconds != 0);
            seconds.map(|&(day, amount)| Contribution { attribute: attribute.clone(), day, amount })
        });
        Ok(Counted::Adds(adds.collect()))
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use serde_json::json;
    use source::Mapping as _;

    use super::*;

    fn mapping(rules: Value) -> Mapping {
        Mapping::try_new(&serde_json::from_value(rules).unwrap()).unwrap()
    }

    fn counted(mapping: &Mapping, payload: Value, zone: &str) -> Vec<(String, String, i64)> {
        match mapping.count(&payload.to_string(), &Zones::always(TimeZone::get(zone).unwrap())).unwrap() {
            Counted::Adds(adds) => {
                adds.into_iter().map(|add| (add.attribute.to_string(), add.day.to_string(), add.amount)).collect()
            }
            Counted::NotYet => vec![("not yet".to_owned(), String::new(), 0)],
        }
    }

    fn adds(expected: &[(&str, &str, i64)]) -> Vec<(String, String, i64)> {
        expected.iter().map(|&(attribute, day, amount)| (attribute.to_owned(), day.to_owned(), amount)).collect()
    }

    #[test]
    fn an_entry_counts_once_for_each_attribute_however_many_rules_take_it() {
        let mapping = mapping(json!({
            "productive_min": {"projects": [42], "tags": ["deep", "work"], "template": "productive_min", "mode": "total"},
            "time_client": {"clients": [9], "label": "Client", "group": "productivity", "value_type": 3},
            "gaming_min": {"projects": [43]},
        }));
        let entry = json!({"start": "2026-05-01T23:00:00Z", "stop": "2026-05-02T00:30:00Z", "duration": 5400,
            "project_id": 42, "client_id": 9, "tags": ["deep", "work"]});
        let expected = [
            ("productive_min", "2026-05-01", 3600),
            ("productive_min", "2026-05-02", 1800),
            ("time_client", "2026-05-01", 3600),
            ("time_client", "2026-05-02", 1800),
        ];
        assert_eq!(counted(&mapping, entry.clone(), "UTC"), adds(&expected));
        // A day of 25 hours: the entry of two hours around the change stays two hours.
        let change = json!({"start": "2026-10-25T00:00:00Z", "stop": "2026-10-25T02:00:00Z", "duration": 7200, "project_id": 43});
        assert_eq!(counted(&mapping, change, "Europe/Berlin"), adds(&[("gaming_min", "2026-10-25", 7200)]));
    }

    #[test]
    fn a_running_entry_does_not_count_yet_and_one_without_end_counts_its_duration() {
        let mapping = mapping(json!({"a": {"tags": ["t"]}}));
        let running = json!({"start": "2026-05-01T12:00:00Z", "duration": -1, "tags": ["t"]});
        assert_eq!(counted(&mapping, running, "UTC")[0].0, "not yet");
        let endless = json!({"start": "2026-05-01T12:00:00Z", "duration": 60, "tags": ["t"]});
        assert_eq!(counted(&mapping, endless, "UTC"), adds(&[("a", "2026-05-01", 60)]));
        let empty = json!({"start": "2026-05-01T12:00:00Z", "duration": 0, "tags": ["t"]});
        assert_eq!(counted(&mapping, empty, "UTC"), []);
        let far =
            json!({"start": "2026-05-01T12:00:00Z", "stop": "2029-05-01T12:00:00Z", "duration": 60, "tags": ["t"]});
        assert_eq!(counted(&mapping, far, "UTC"), adds(&[("a", "2026-05-01", 60)]));
        let other = json!({"start": "2026-05-01T12:00:00Z", "duration": 60, "tags": ["u"], "project_id": 1});
        assert_eq!(counted(&mapping, other, "UTC"), []);
    }

    #[test]
    fn each_wrong_list_of_a_rule_is_named() {
        let rules = json!({
            "a": {"projects": ["42"], "tags": [1]},
            "b": {"label": "B", "projects": []},
            "c": {"clients": [1], "tags": []},
            "d": "projects",
        });
        let errors = Mapping::try_new(&serde_json::from_value(rules).unwrap()).err().unwrap();
        let found: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let expected = [
            "map.a.projects: must be a list of project ids",
            "map.a.tags: must be a list of tag names",
            "map.b.projects: or clients or tags must name at least one",
            "map.d.projects: or clients or tags must name at least one",
        ];
        assert_eq!(found, expected);
    }
}
