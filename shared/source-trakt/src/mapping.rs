//! What a play adds to which day.

use event::{AttributeName, Contribution, Unit};
use jiff::Timestamp;
use serde_json::Value;
use source::{Counted, Malformed, MappingError, RulesByAttribute, Zones};

use crate::play::{Counts, What};

/// What an attribute takes of a play.
#[derive(Debug, Clone, Copy)]
enum From {
    Minutes(What),
    Plays(What),
}

const WORDS: [(&str, From); 4] = [
    ("episode_minutes", From::Minutes(What::Episode)),
    ("movie_minutes", From::Minutes(What::Movie)),
    ("episodes", From::Plays(What::Episode)),
    ("movies", From::Plays(What::Movie)),
];

impl From {
    const fn unit(self) -> Unit {
        match self {
            Self::Minutes(_) => Unit::Seconds,
            Self::Plays(_) => Unit::Count,
        }
    }

    fn of(self, counts: &Counts) -> i64 {
        match self {
            Self::Minutes(what) if what == counts.what => i64::from(counts.minutes.unwrap_or(0)) * 60,
            Self::Plays(what) if what == counts.what => 1,
            _ => 0,
        }
    }
}

/// One connection's rules, compiled.
pub(crate) struct Mapping {
    attributes: Vec<(AttributeName, Unit)>,
    takes: Vec<From>,
}

impl Mapping {
    pub(crate) fn try_new(rules: &RulesByAttribute) -> Result<Self, Vec<MappingError>> {
        let (mut attributes, mut takes, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (attribute, rule) in rules {
            let named = rule.get("from").and_then(Value::as_str);
            match WORDS.iter().find(|(word, _)| named == Some(word)) {
                Some(&(_, from)) => {
                    attributes.push((attribute.clone(), from.unit()));
                    takes.push(from);
                }
                None => errors.push(MappingError {
                    attribute: attribute.clone(),
                    field: "from".to_owned(),
                    problem: format!("must be one of {}", WORDS.map(|(word, _)| word).join(", ")),
                }),
            }
        }
        if errors.is_empty() { Ok(Self { attributes, takes }) } else { Err(errors) }
    }
}

impl source::Mapping for Mapping {
    fn attributes(&self) -> &[(AttributeName, Unit)] {
        &self.attributes
    }

    fn count(&self, payload: &str, zones: &Zones) -> Result<Counted, Malformed> {
        let counts: Counts = serde_json::from_str(payload)
            .map_err(|error| Malformed(format!("trakt: no payload of a play: {error}")))?;
        // Trakt's way of saying that nobody knows when.
        if counts.watched_at == Timestamp::UNIX_EPOCH {
            return Ok(Counted::Adds(Vec::new()));
        }
        let day = zones.day_of(counts.watched_at);
        let adds = self.attributes.iter().zip(&self.takes).map(|((attribute, _), from)| Contribution {
            attribute: attribute.clone(),
            day,
            amount: from.of(&counts),
        });
        Ok(Counted::Adds(adds.filter(|add| add.amount != 0).collect()))
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use serde_json::json;
    use source::Mapping as _;

    use super::*;

    fn counted(payload: &str, zone: &str) -> Vec<(String, String, i64)> {
        let rules = json!({"tv_min": {"from": "episode_minutes"}, "movies_min": {"from": "movie_minutes"},
            "episodes_watched": {"from": "episodes"}, "movies_watched": {"from": "movies"}});
        let mapping = Mapping::try_new(&serde_json::from_value(rules).unwrap()).unwrap();
        let Counted::Adds(adds) = mapping.count(payload, &Zones::always(TimeZone::get(zone).unwrap())).unwrap() else {
            panic!("a play is over")
        };
        adds.into_iter().map(|add| (add.attribute.to_string(), add.day.to_string(), add.amount)).collect()
    }

    #[test]
    fn a_play_counts_on_the_local_day_of_its_date() {
        let payload = r#"{"what":"episode","watched_at":"2026-05-01T12:00:00Z","minutes":25}"#;
        for (zone, day) in [("Pacific/Kiritimati", "2026-05-02"), ("Pacific/Pago_Pago", "2026-05-01")] {
            let expected = [("episodes_watched", day, 1), ("tv_min", day, 25 * 60)];
            let expected = expected.map(|(name, day, amount)| (name.to_owned(), day.to_owned(), amount));
            assert_eq!(counted(payload, zone), expected);
        }
    }

    #[test]
    fn a_play_without_a_runtime_is_watched_and_one_without_a_date_counts_nothing() {
        let payload = r#"{"what":"movie","watched_at":"2026-05-01T12:00:00Z"}"#;
        assert_eq!(counted(payload, "UTC"), [("movies_watched".to_owned(), "2026-05-01".to_owned(), 1)]);
        assert_eq!(counted(r#"{"what":"movie","watched_at":"1970-01-01T00:00:00Z","minutes":90}"#, "UTC"), []);
    }

    #[test]
    fn a_rule_names_one_of_four_words() {
        let rules = json!({"a": {"from": "shows"}, "b": {"field": "movies"}, "c": 3});
        let errors = Mapping::try_new(&serde_json::from_value(rules).unwrap()).err().unwrap();
        let expected = "map.a.from: must be one of episode_minutes, movie_minutes, episodes, movies";
        assert_eq!((errors.len(), errors[0].to_string().as_str()), (3, expected));
    }
}
