//! What a pulse adds to which day.

use event::{AttributeName, Contribution, Unit};
use serde_json::Value;
use source::{Counted, Malformed, MappingError, RulesByAttribute, Zones};

use crate::pulse::Counts;

/// What of a pulse feeds an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Keys,
    Clicks,
    Download,
    Upload,
    Uptime,
}

/// The fields as a rule names them.
const FIELDS: [(&str, Field); 5] = [
    ("keys", Field::Keys),
    ("clicks", Field::Clicks),
    ("download_mb", Field::Download),
    ("upload_mb", Field::Upload),
    ("uptime_seconds", Field::Uptime),
];

impl Field {
    const fn unit(self) -> Unit {
        match self {
            Self::Keys | Self::Clicks => Unit::Count,
            Self::Download | Self::Upload => Unit::CentiMegabytes,
            Self::Uptime => Unit::Seconds,
        }
    }

    const fn of(self, counts: &Counts) -> i64 {
        match self {
            Self::Keys => counts.keys,
            Self::Clicks => counts.clicks,
            Self::Download => counts.download_cmb,
            Self::Upload => counts.upload_cmb,
            Self::Uptime => counts.uptime_seconds,
        }
    }
}

/// One connection's rules: each attribute is fed by one field.
pub(crate) struct Mapping {
    attributes: Vec<(AttributeName, Unit)>,
    fields: Vec<Field>,
}

impl Mapping {
    pub(crate) fn try_new(rules: &RulesByAttribute) -> Result<Self, Vec<MappingError>> {
        let (mut attributes, mut fields, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (attribute, rule) in rules {
            let named = rule.get("field").and_then(Value::as_str);
            match FIELDS.iter().find(|(name, _)| named == Some(name)) {
                Some(&(_, field)) => {
                    attributes.push((attribute.clone(), field.unit()));
                    fields.push(field);
                }
                None => errors.push(MappingError {
                    attribute: attribute.clone(),
                    field: "field".to_owned(),
                    problem: format!("must be one of {}", FIELDS.map(|(name, _)| name).join(", ")),
                }),
            }
        }
        if errors.is_empty() { Ok(Self { attributes, fields }) } else { Err(errors) }
    }
}

impl source::Mapping for Mapping {
    fn attributes(&self) -> &[(AttributeName, Unit)] {
        &self.attributes
    }

    fn count(&self, payload: &str, zones: &Zones) -> Result<Counted, Malformed> {
        let counts: Counts = serde_json::from_str(payload)
            .map_err(|error| Malformed(format!("whatpulse: no payload of a pulse: {error}")))?;
        let day = zones.day_of(counts.date);
        let adds = self.attributes.iter().zip(&self.fields).map(|((attribute, _), field)| Contribution {
            attribute: attribute.clone(),
            day,
            amount: field.of(&counts),
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

    fn name(text: &str) -> AttributeName {
        AttributeName::try_new(text).unwrap()
    }

    #[test]
    fn a_pulse_counts_on_the_local_day_of_its_date() {
        let rules = [
            (name("keystrokes"), json!({"field": "keys", "template": "keystrokes", "mode": "total"})),
            (
                name("uptime_min"),
                json!({"field": "uptime_seconds", "label": "Uptime", "group": "productivity", "value_type": 3}),
            ),
            (name("download_mb"), json!({"field": "download_mb"})),
        ];
        let mapping = Mapping::try_new(&rules.into()).unwrap();
        let units: Vec<_> = mapping.attributes().iter().map(|(_, unit)| *unit).collect();
        assert_eq!(units, [Unit::CentiMegabytes, Unit::Count, Unit::Seconds]);
        let payload = r#"{"date":"2026-07-12T11:58:03Z","keys":7,"clicks":1,"download_cmb":0,"upload_cmb":0,"uptime_seconds":60}"#;
        for (zone, day) in
            [("Pacific/Kiritimati", "2026-07-13"), ("UTC", "2026-07-12"), ("Pacific/Pago_Pago", "2026-07-12")]
        {
            let Ok(Counted::Adds(adds)) = mapping.count(payload, &Zones::always(TimeZone::get(zone).unwrap())) else {
                panic!()
            };
            let found: Vec<_> =
                adds.iter().map(|add| (add.attribute.as_str(), add.day.to_string(), add.amount)).collect();
            assert_eq!(found, [("keystrokes", day.to_owned(), 7), ("uptime_min", day.to_owned(), 60)]);
        }
    }

    #[test]
    fn a_rule_names_one_of_five_fields() {
        let rules =
            [(name("a"), json!({"field": "scrolls"})), (name("b"), json!({"from": "keys"})), (name("c"), json!(3))];
        let errors = Mapping::try_new(&rules.into()).err().unwrap();
        assert_eq!(errors.len(), 3);
        let expected = "map.a.field: must be one of keys, clicks, download_mb, upload_mb, uptime_seconds";
        assert_eq!(errors[0].to_string(), expected);
    }
}
