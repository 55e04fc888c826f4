//! What was wrong with the settings: all of it, at once.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::layers::Origin;

/// One thing wrong with the settings, found while reading or checking them.
///
/// No variant repeats a secret: a value is carried only as it may be shown.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// While matching names with the list: no setting has this one.
    #[error("{name} ({origin}): no such setting{}", hint(.nearest.as_deref()))]
    Unknown {
        /// The name as given. Its value is not carried: it may be a secret under a misspelt name.
        name: String,
        /// Where it was given.
        origin: Origin,
        /// The setting whose name is nearest, if one is near.
        nearest: Option<String>,
    },
    /// While checking a value: its kind does not accept it.
    #[error("{name} = {shown:?} ({origin}): {why}; accepted: {accepted}")]
    Value {
        /// The setting.
        name: &'static str,
        /// The value as it may be shown.
        shown: String,
        /// Where it was given.
        origin: Origin,
        /// Why it is not accepted.
        why: String,
        /// What is.
        accepted: String,
    },
    /// While laying the sources of settings over each other: one source gives one setting twice.
    #[error("{name} ({origin}): given twice, perhaps once as {name}_FILE; accepted: one of them")]
    Twice {
        /// The setting.
        name: &'static str,
        /// Where it was given.
        origin: Origin,
    },
    /// While pairing settings: one of two that only work together is missing.
    #[error("{missing}: not set, but {given} is; accepted: both or neither")]
    Alone {
        /// The setting that is set.
        given: &'static str,
        /// The setting that is not.
        missing: &'static str,
    },
    /// While reading the file that holds a secret.
    #[error("{name}_FILE = {path:?}: cannot read it; accepted: a readable text file")]
    ReadSecret {
        /// The setting whose value the file should hold.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it could not be read.
        source: io::Error,
    },
    /// While reading the configuration file.
    #[error("configuration file {path:?}: cannot read it; accepted: a readable TOML file")]
    ReadConfig {
        /// The file.
        path: PathBuf,
        /// Why it could not be read.
        source: io::Error,
    },
    /// While parsing the configuration file. The library's own error is not carried: it quotes the
    /// line, which may hold a secret.
    #[error("configuration file {path:?}, line {line}: not TOML; accepted: lines of `flush_after = \"2s\"`")]
    ParseConfig {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
}

/// Everything wrong with the settings; [`fmt::Display`] gives each its own line, with its cause.
#[derive(Debug)]
pub struct SettingsErrors(pub Vec<SettingsError>);

impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
            if let Some(source) = error.source() {
                write!(f, ": {source}")?;
            }
        }
        Ok(())
    }
}

impl Error for SettingsErrors {}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}
