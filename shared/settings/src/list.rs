//! The one list of settings: reading, checking, printing and documenting all walk it.

mod limits;
mod peers;
mod process;
mod work;

use crate::value::Kind;

/// What every variable of ours begins with.
pub(crate) const PREFIX: &str = "TRIBUTARY_";

/// Variables that our tools read themselves: known, and no settings.
pub(crate) const TOOL_VARIABLES: [&str; 3] = ["TRIBUTARY_BIN", "TRIBUTARY_CONFIG", "TRIBUTARY_SAMPLES"];

/// One setting, as declared.
#[derive(Debug)]
pub struct Setting {
    /// The variable, in full: `TRIBUTARY_FLUSH_AFTER`.
    pub name: &'static str,
    /// What kind of value it takes, with its bounds.
    pub kind: Kind,
    /// The value it has when nobody sets it; `None` is "not set".
    pub default: Option<&'static str>,
    /// What it is for.
    pub doc: &'static str,
    /// What goes wrong at either extreme, or without it.
    pub extremes: &'static str,
    /// The setting that stands in for this one while this one is not set and that one is.
    pub falls_back_to: Option<&'static str>,
}

impl Setting {
    /// The setting's key in a configuration file: the variable without its prefix, in lower case.
    pub fn key(&self) -> String {
        self.name[PREFIX.len()..].to_lowercase()
    }

    /// The setting's flag: `--flush-after`.
    pub fn flag(&self) -> String {
        format!("--{}", self.key().replace('_', "-"))
    }

    /// Whether the value can also be given as the path of a file that holds it (`…_FILE`).
    pub fn has_file(&self) -> bool {
        self.kind.holds_secret()
    }
}

/// Settings that belong together, under the heading they are documented with.
#[derive(Debug)]
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// The settings, in reading order.
    pub settings: &'static [Setting],
}

/// Every setting, by section, in the order in which they are documented.
pub fn sections() -> &'static [Section] {
    &SECTIONS
}

/// Every setting, in the order in which they are documented.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|section| section.settings)
}

/// The setting with this variable name.
pub fn find(name: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.name == name)
}

static SECTIONS: [Section; 6] = [
    Section { title: "Redis and partitions", settings: work::REDIS },
    Section { title: "Peers", settings: peers::PEERS },
    Section { title: "Secrets", settings: peers::SECRETS },
    Section { title: "Pace and limits", settings: limits::LIMITS },
    Section { title: "Addresses we listen on", settings: process::ADDRESSES },
    Section { title: "Traces", settings: process::TRACES },
];

/// The common case: no fallback.
const fn setting(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    doc: &'static str,
    extremes: &'static str,
) -> Setting {
    Setting { name, kind, default, doc, extremes, falls_back_to: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_setting_is_named_once_and_explained() {
        let mut names = BTreeSet::new();
        for setting in all() {
            assert!(setting.name.starts_with(PREFIX), "{}", setting.name);
            assert!(names.insert(setting.name), "{} twice", setting.name);
            assert!(setting.doc.ends_with('.'), "{}: doc is a sentence", setting.name);
            assert!(setting.extremes.ends_with('.'), "{}: extremes is a sentence", setting.name);
        }
        for setting in all() {
            assert!(!names.contains(format!("{}_FILE", setting.name).as_str()));
            assert!(!TOOL_VARIABLES.contains(&setting.name));
            assert!(setting.falls_back_to.is_none_or(|other| names.contains(other)));
        }
    }

    #[test]
    fn every_default_is_a_value_its_own_kind_accepts() {
        for setting in all() {
            if let Some(default) = setting.default {
                assert_eq!(setting.kind.parse(default).err(), None, "{}", setting.name);
            }
        }
    }
}
