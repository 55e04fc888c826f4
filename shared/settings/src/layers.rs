//! Where values come from: flag over variable over file over default.

mod nearest;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::error::SettingsError;
use crate::list::{self, PREFIX, Setting, TOOL_VARIABLES};
use crate::value::{HIDDEN, Kind};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Variable,
    /// A flag of the command line.
    Flag,
    /// Another setting, which stands in for this one.
    Setting(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Variable => f.write_str("variable"),
            Self::Flag => f.write_str("flag"),
            Self::Setting(name) => write!(f, "by {name}"),
        }
    }
}

/// A value as somebody gave it. It is held as a secret whatever its setting: less to get wrong.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) text: SecretString,
    pub(crate) origin: Origin,
}

/// Lays the sources over each other; the result holds the winning value of each setting that was given.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    given: BTreeMap<&'static str, Raw>,
    errors: Vec<SettingsError>,
}

#[derive(Debug)]
struct Raw {
    text: SecretString,
    /// The text is the path of the file that holds the value.
    in_file: bool,
    origin: Origin,
}

/// One `name = value` of one source; `bare` is the setting's key with a possible `_file`.
struct Entry {
    name: String,
    bare: String,
    text: String,
}

impl Layers {
    /// Reads the configuration file, the lowest layer.
    pub(crate) fn file(&mut self, path: &Path) {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(source) => {
                return self.errors.push(SettingsError::ReadConfig { path: path.into(), source });
            }
        };
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                return self.errors.push(SettingsError::ParseConfig { path: path.into(), line });
            }
        };
        let origin = Origin::File(path.into());
        let mut entries = Vec::new();
        for (name, value) in table {
            match text_of(&name, &value) {
                Ok(text) => entries.push(Entry { bare: name.clone(), name, text }),
                Err((setting, why)) => self.errors.push(SettingsError::Value {
                    name: setting.name,
                    shown: HIDDEN.into(),
                    origin: origin.clone(),
                    why,
                    accepted: format!("in quotes, {}", setting.kind.accepts()),
                }),
            }
        }
        self.lay(entries, &origin);
    }

    /// Lays our variables over what is there; variables of others are none of our business.
    pub(crate) fn variables(&mut self, env: impl Iterator<Item = (String, String)>) {
        let ours = env
            .filter(|(name, _)| name.starts_with(PREFIX) && !TOOL_VARIABLES.contains(&name.as_str()))
            .map(|(name, text)| {
                // A variable in lower case is not ours: its key must not match one of the list.
                let bare = &name[PREFIX.len()..];
                let bare =
                    if bare.chars().any(|c| c.is_ascii_lowercase()) { String::new() } else { bare.to_lowercase() };
                Entry { bare, name, text }
            })
            .collect();
        self.lay(ours, &Origin::Variable);
    }

    /// Lays flags over what is there; `--flush-after`, `flush-after` and `flush_after` are one name.
    pub(crate) fn flags(&mut self, flags: &[(String, String)]) {
        let entries = flags
            .iter()
            .map(|(name, text)| {
                let bare = name.trim_start_matches('-').replace('-', "_");
                Entry { name: format!("--{}", bare.replace('_', "-")), bare, text: text.clone() }
            })
            .collect();
        self.lay(entries, &Origin::Flag);
    }

    fn lay(&mut self, entries: Vec<Entry>, origin: &Origin) {
        let mut seen = BTreeSet::new();
        for Entry { name, bare, text } in entries {
            let Some((setting, in_file)) = resolve(&bare) else {
                let nearest = nearest::setting(&bare).map(|setting| match origin {
                    Origin::File(_) => setting.key(),
                    Origin::Flag => setting.flag(),
                    _ => setting.name.to_owned(),
                });
                let origin = origin.clone();
                self.errors.push(SettingsError::Unknown { name, origin, nearest });
                continue;
            };
            if !seen.insert(setting.name) {
                let (name, origin) = (setting.name, origin.clone());
                self.errors.push(SettingsError::Twice { name, origin });
                continue;
            }
            let raw = Raw { text: text.into(), in_file, origin: origin.clone() };
            self.given.insert(setting.name, raw);
        }
    }

    /// The winning values, files of secrets read, and everything that was wrong so far.
    pub(crate) fn finish(mut self) -> (BTreeMap<&'static str, Given>, Vec<SettingsError>) {
        let mut values = BTreeMap::new();
        for (name, Raw { text, in_file, origin }) in self.given {
            if !in_file {
                values.insert(name, Given { text, origin });
                continue;
            }
            match read_secret(&text) {
                Ok(text) => {
                    values.insert(name, Given { text, origin });
                }
                Err((path, source)) => {
                    self.errors.push(SettingsError::ReadSecret { name, path, source });
                }
            }
        }
        (values, self.errors)
    }
}

/// The setting that a bare key names, and whether it names the file of its value.
fn resolve(bare: &str) -> Option<(&'static Setting, bool)> {
    list::all().find_map(|setting| {
        let key = setting.key();
        if bare == key {
            return Some((setting, false));
        }
        let of_file = bare.strip_suffix("_file").is_some_and(|bare| bare == key);
        (of_file && setting.has_file()).then_some((setting, true))
    })
}

/// The text of a value in the configuration file.
///
/// Text and whole numbers only. A secret must be text: `0123` is a number to TOML, or an error.
fn text_of(name: &str, value: &toml::Value) -> Result<String, (&'static Setting, String)> {
    match (resolve(name), value) {
        (_, toml::Value::String(text)) => Ok(text.clone()),
        (Some((setting, false)), toml::Value::Integer(number)) if matches!(setting.kind, Kind::Count { .. }) => {
            Ok(number.to_string())
        }
        (Some((setting, _)), other) => Err((setting, format!("it is a TOML {}", other.type_str()))),
        // Reported as unknown by name; what it holds does not matter.
        (None, _) => Ok(String::new()),
    }
}

/// Reads a secret from its file, without the newline that editors put at the end.
fn read_secret(path: &SecretString) -> Result<SecretString, (PathBuf, std::io::Error)> {
    use secrecy::ExposeSecret;
    let path = Path::new(path.expose_secret());
    let text = fs::read_to_string(path).map_err(|source| (path.to_owned(), source))?;
    Ok(text.trim_end_matches(['\n', '\r']).into())
}
