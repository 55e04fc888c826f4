//! Setting and adding to a day's value, and what all five writing endpoints share.

use jiff::civil::Date;
use rust_decimal::Decimal;

use super::call::{Answer, Body, Call, Endpoint, Written};
use super::faults::Fault;
use super::object::Object;
use super::rules::Plan;
use super::value::{DailyValue, ValueType};
use super::world::{Attribute, Caller, World};

/// Why one item was refused.
pub(super) struct Refused {
    pub(super) code: String,
    pub(super) text: String,
    /// The attribute that is in the way, if that is the reason.
    pub(super) name: Option<String>,
}

impl Refused {
    pub(super) fn new(code: &str, text: impl Into<String>) -> Self {
        Self { code: code.to_owned(), text: text.into(), name: None }
    }

    pub(super) fn validation(text: impl Into<String>) -> Self {
        Self::new("validation", text)
    }

    pub(super) fn missing(index: usize, fields: &[&str]) -> Self {
        let fields: Vec<_> = fields.iter().map(|field| format!("'{field}'")).collect();
        Self::new("missing_field", format!("Object at index {index} missing field(s) {}", fields.join(", ")))
    }

    pub(super) fn unknown(name: &str) -> Self {
        Self::new("not_found", format!("User doesn't have an attribute named '{name}'"))
    }

    pub(super) fn not_ours(name: &str) -> Self {
        Self::new("unauthorised", format!("Attribute '{name}' does not belong to this service"))
    }

    pub(super) fn out_of_scope(group: &str) -> Self {
        let text = format!("No permission to write to attributes in group '{group}'");
        Self::new("not_allowed", text)
    }
}

impl World {
    /// Checks a write as a whole, then lets each item succeed or fail by itself.
    pub(super) fn write(&mut self, caller: &Caller, endpoint: Endpoint, call: &Call, plan: &Plan) -> Answer {
        if !call.is_json() {
            let text = format!("Unsupported media type \"{}\" in request.", call.content_type);
            return Answer::detail(415, &text);
        }
        let items: Vec<Object> = match serde_json::from_slice(&call.body) {
            Ok(items) => items,
            Err(error) if error.is_data() => {
                return Answer::detail(400, "Expected a list of objects.");
            }
            Err(error) => return Answer::detail(400, &format!("JSON parse error - {error}")),
        };
        if items.is_empty() {
            return Answer::detail(400, "Expected at least one object.");
        }
        if items.len() > self.config.batch_max {
            let text = format!("A maximum of {} objects is allowed.", self.config.batch_max);
            return Answer::detail(400, &text);
        }
        let full = call.query.flag("success_objects").unwrap_or(false);
        let mut written = Written::default();
        for (index, item) in items.into_iter().enumerate() {
            let outcome = match chosen_to_fail(plan, index, &item) {
                Some(refused) => Err(refused),
                None => match endpoint {
                    Endpoint::Acquire => self.acquire(caller, index, &item, full),
                    Endpoint::Release => self.release(caller, index, &item),
                    Endpoint::Create => self.create(caller, index, &item, full),
                    Endpoint::Update => self.update(caller, index, &item),
                    _ => self.increment(caller, index, &item),
                },
            };
            match outcome {
                Ok(object) => written.success.push(object),
                Err(refused) => {
                    let mut failed = item;
                    if let Some(name) = refused.name {
                        failed.put("name", name);
                    }
                    failed.put("error_code", refused.code);
                    failed.put("error", refused.text);
                    written.failed.push(failed);
                }
            }
        }
        let status = if written.failed.is_empty() { 200 } else { 202 };
        Answer::new(status, Body::Written(written))
    }

    /// Sets a day's total.
    fn update(&mut self, caller: &Caller, index: usize, item: &Object) -> Result<Object, Refused> {
        require(index, item, &["name", "date", "value"])?;
        let (today, attribute) = self.writable(caller, item)?;
        let date = date_of(item, today)?;
        let raw = item.raw("value").expect("required above");
        let value = if raw == "null" {
            match attribute.rows.get(&date) {
                None | Some(DailyValue::Null) => DailyValue::Null,
                Some(_) => return Err(Refused::validation("Value cannot be set to null")),
            }
        } else {
            let value = attribute.value_type.read(raw).map_err(Refused::validation)?;
            check(attribute, &value)?;
            value
        };
        let echo = item.clone().with("value", &value);
        attribute.store(date, value);
        Ok(echo)
    }

    /// Adds to a day's total.
    fn increment(&mut self, caller: &Caller, index: usize, item: &Object) -> Result<Object, Refused> {
        require(index, item, &["name", "value"])?;
        let negatives = self.config.negative_increments;
        let (today, attribute) = self.writable(caller, item)?;
        let kind = attribute.value_type;
        if !kind.adds() {
            let text = format!("Cannot increment an attribute of type {}", kind.description());
            return Err(Refused::validation(text));
        }
        let date = if item.raw("date").is_some() { date_of(item, today)? } else { today };
        let raw = item.raw("value").expect("required above");
        let delta = kind.read(raw).map_err(Refused::validation)?;
        let delta = delta.number().expect("a type that adds reads numbers only");
        let may_fall = negatives && matches!(kind, ValueType::Integer | ValueType::Float);
        if delta < Decimal::ZERO && !may_fall {
            return Err(Refused::validation("Cannot increment by a negative value"));
        }
        let held = attribute.rows.get(&date).and_then(DailyValue::number).unwrap_or_default();
        let Some(current) = held.checked_add(delta) else {
            return Err(Refused::validation("Value is out of range"));
        };
        let current = DailyValue::Number(current);
        check(attribute, &current)?;
        let echo = item.clone().with("current", &current);
        attribute.store(date, current);
        Ok(echo)
    }

    /// The attribute an item names, if this client may write it, and the user's today.
    fn writable(&mut self, caller: &Caller, item: &Object) -> Result<(Date, &mut Attribute), Refused> {
        let name = name_of(item, "name")?;
        let user = self.user(caller);
        let today = user.today(caller.now);
        let attribute = user.attributes.get_mut(&name).ok_or_else(|| Refused::unknown(&name))?;
        if !attribute.is_owned_by(&caller.service) {
            return Err(Refused::not_ours(&name));
        }
        if !caller.may("write", attribute.group.name, attribute.manual) {
            return Err(Refused::out_of_scope(attribute.group.name));
        }
        Ok((today, attribute))
    }
}

impl Attribute {
    fn store(&mut self, date: Date, value: DailyValue) {
        self.rows.insert(date, value);
        *self.writes.entry(date).or_default() += 1;
    }
}

fn chosen_to_fail(plan: &Plan, index: usize, sent: &Object) -> Option<Refused> {
    plan.0.iter().find_map(|fault| match fault {
        Fault::FailItem { item, code, text } if item.is(index, sent) => Some(Refused::new(code, text)),
        _ => None,
    })
}

/// Refuses an item that lacks any of these fields.
pub(super) fn require(index: usize, item: &Object, fields: &[&str]) -> Result<(), Refused> {
    let missing: Vec<&str> = fields.iter().copied().filter(|field| item.raw(field).is_none()).collect();
    if missing.is_empty() { Ok(()) } else { Err(Refused::missing(index, &missing)) }
}

/// The text under `key`, which must not be empty.
pub(super) fn name_of(item: &Object, key: &str) -> Result<String, Refused> {
    match item.get::<String>(key) {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(Refused::validation(format!("'{key}' must be a non-empty string"))),
    }
}

fn date_of(item: &Object, today: Date) -> Result<Date, Refused> {
    let date = item.get::<String>("date").as_deref().and_then(strict_date);
    let date = date.ok_or_else(|| Refused::validation("Date must be in the format YYYY-MM-DD"))?;
    if today.tomorrow().is_ok_and(|tomorrow| date > tomorrow) {
        return Err(Refused::validation("Date must not be in the future"));
    }
    Ok(date)
}

/// A real calendar day spelled `YYYY-MM-DD`; `2026-3-28` and `2026-03-28T00:00` are none.
pub(super) fn strict_date(text: &str) -> Option<Date> {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if shape { text.parse().ok() } else { None }
}

fn check(attribute: &Attribute, value: &DailyValue) -> Result<(), Refused> {
    match value {
        DailyValue::Number(number) => attribute.value_type.check(*number).map_err(Refused::validation),
        DailyValue::Text(text)
            if attribute.name == "mood_note" && text.chars().count() > super::value::NOTE_CHARS_MAX =>
        {
            Err(Refused::validation("Value must not exceed 1000 characters"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_days_in_the_one_spelling_are_dates() {
        assert!(strict_date("2028-02-29").is_some());
        for text in ["2026-02-29", "2026-3-28", "20260328", "2026-03-28T00:00", "", "2026/03/28"] {
            assert_eq!(strict_date(text), None, "{text} passed");
        }
    }
}
