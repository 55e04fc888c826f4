//! The file as an operator writes it, read field by field. Unknown fields are ignored, and no message
//! repeats a value: it may be a token that stands in the wrong place.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use settings::{ExposeSecret, SecretString};
use store::user::Adopt;

/// One person.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) user: Option<String>,
    pub(crate) timezone: Option<String>,
    pub(crate) exist: Option<ExistRow>,
    pub(crate) connections: Vec<ConnectionRow>,
}

/// The tokens for Exist.
#[derive(Debug)]
pub(crate) struct ExistRow {
    pub(crate) access_token: SecretString,
    pub(crate) refresh_token: Option<SecretString>,
    pub(crate) expires_in: Option<i64>,
    pub(crate) created_at: Option<i64>,
    pub(crate) adopt: Option<Adopt>,
}

/// One source.
pub(crate) struct ConnectionRow {
    pub(crate) source: String,
    pub(crate) credentials: Value,
    /// By the attribute's name.
    pub(crate) map: BTreeMap<String, Value>,
}

impl std::fmt::Debug for ConnectionRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionRow").field("source", &self.source).field("credentials", &"…").finish()
    }
}

/// What a rule says about its attribute in Exist; the rest of the rule is the source's.
#[derive(Debug)]
pub(crate) struct AttributeRow {
    pub(crate) template: Option<String>,
    pub(crate) label: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) value_type: Option<i64>,
    pub(crate) mode: Option<String>,
}

impl Row {
    /// Reads a row, and tells everything that is wrong with it; what is wrong is left out.
    pub(crate) fn read(row: &Value, problems: &mut Vec<String>) -> Option<Self> {
        let mut fields = Fields::of(row, "", problems)?;
        let user = fields.text("user");
        let timezone = fields.optional("timezone", TEXT, text);
        let exist = fields.object("exist").and_then(|value| ExistRow::read(value, fields.problems));
        let listed = fields.optional("connections", "a list", |value| value.as_array().cloned()).unwrap_or_default();
        let connection =
            |(index, row): (usize, &Value)| ConnectionRow::read(row, &format!("connections[{index}]"), problems);
        let connections = listed.iter().enumerate().filter_map(connection).collect();
        Some(Self { user, timezone, exist, connections })
    }
}

impl ExistRow {
    fn read(row: &Value, problems: &mut Vec<String>) -> Option<Self> {
        let mut fields = Fields::of(row, "exist", problems)?;
        let access_token = fields.text("access_token").map(SecretString::from);
        let refresh_token = fields.optional("refresh_token", TEXT, text).map(SecretString::from);
        let expires_in = fields.optional("expires_in", "a number of seconds", Value::as_i64);
        let created_at = fields.optional("created_at", "a number of seconds since 1970", Value::as_i64);
        let adopt = fields.optional("adopt", "true, false, \"baseline\", \"ours\" or \"ask\"", adopt);
        Some(Self { access_token: access_token?, refresh_token, expires_in, created_at, adopt })
    }

    /// What the file says of the tokens, to tell whether another one says the same.
    pub(crate) fn told(&self) -> SecretString {
        let tokens = [Some(&self.access_token), self.refresh_token.as_ref()];
        let tokens = tokens.map(|token| token.map(|token| token.expose_secret().to_owned()));
        SecretString::from(serde_json::json!([tokens, self.expires_in, self.created_at]).to_string())
    }
}

impl ConnectionRow {
    fn read(row: &Value, path: &str, problems: &mut Vec<String>) -> Option<Self> {
        let mut fields = Fields::of(row, path, problems)?;
        let source = fields.text("source");
        let credentials = fields.object("credentials").cloned();
        let map = match fields.optional("settings", "an object", |value| value.as_object().cloned()) {
            None => Map::new(),
            Some(settings) => {
                let (settings, path) = (Value::Object(settings), format!("{path}.settings"));
                let mut fields = Fields::of(&settings, &path, problems)?;
                fields.optional("map", "an object", |value| value.as_object().cloned()).unwrap_or_default()
            }
        };
        Some(Self { source: source?, credentials: credentials?, map: map.into_iter().collect() })
    }
}

impl AttributeRow {
    /// Reads what a rule says about its attribute; the path is the rule's.
    pub(crate) fn read(rule: &Value, path: &str, problems: &mut Vec<String>) -> Option<Self> {
        let before = problems.len();
        let mut fields = Fields::of(rule, path, problems)?;
        let row = Self {
            template: fields.optional("template", TEXT, text),
            label: fields.optional("label", TEXT, text),
            group: fields.optional("group", TEXT, text),
            value_type: fields.optional("value_type", "a number", Value::as_i64),
            mode: fields.optional("mode", TEXT, text),
        };
        (problems.len() == before).then_some(row)
    }
}

/// What a text is, in messages.
const TEXT: &str = "text, and not empty";

fn adopt(value: &Value) -> Option<Adopt> {
    match value {
        Value::Bool(true) => Some(Adopt::Ours),
        Value::Bool(false) => Some(Adopt::Unset),
        word => [Adopt::Baseline, Adopt::Ours, Adopt::Ask].into_iter().find(|adopt| word == adopt.as_str()),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The fields of one object, with its place in the row.
struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: &'a str,
    problems: &'a mut Vec<String>,
}

impl<'a> Fields<'a> {
    fn of(value: &'a Value, path: &'a str, problems: &'a mut Vec<String>) -> Option<Self> {
        match value.as_object() {
            Some(object) => Some(Self { object, path, problems }),
            None => {
                let what = if path.is_empty() { "the row" } else { path };
                problems.push(format!("{what}: must be an object"));
                None
            }
        }
    }

    fn wrong(&mut self, name: &str, problem: &str) {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.problems.push(format!("{}{dot}{name}: {problem}", self.path));
    }

    /// A field that may be missing or null.
    fn optional<T>(&mut self, name: &str, what: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        let value = self.object.get(name).filter(|value| !value.is_null())?;
        let found = read(value);
        if found.is_none() {
            self.wrong(name, &format!("must be {what}"));
        }
        found
    }

    /// A text that must be there.
    fn text(&mut self, name: &str) -> Option<String> {
        if self.object.get(name).is_none_or(Value::is_null) {
            self.wrong(name, "missing");
            return None;
        }
        self.optional(name, TEXT, text)
    }

    /// An object that must be there.
    fn object(&mut self, name: &str) -> Option<&'a Value> {
        match self.object.get(name) {
            Some(value) if value.is_object() => Some(value),
            None | Some(Value::Null) => {
                self.wrong(name, "missing");
                None
            }
            Some(_) => {
                self.wrong(name, "must be an object");
                None
            }
        }
    }
}
