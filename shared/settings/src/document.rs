//! What is written about settings: `settings.env`, the reference table, and what a process has read.

use std::fmt::Write;

use crate::layers::Origin;
use crate::list::{Setting, sections};

/// The longest line of `settings.env`, in characters.
const WIDTH: usize = 100;

const HEAD: &str = "\
# Every setting of Tributary, with its default. Generated from the list in shared/settings: change
# it there, then run `UPDATE=1 cargo test -p settings`.
#
# A flag (--flush-after 5s) wins over a variable (TRIBUTARY_FLUSH_AFTER=5s), a variable over the
# file that --config or TRIBUTARY_CONFIG names (TOML: flush_after = \"5s\"), the file over the
# default.
# A setting that says so can also be given as the path of a file that holds its value.
# Unknown names and bad values are all reported together, and the process exits with 2.
# On Kubernetes set `enableServiceLinks: false`, or a Service named tributary-… adds unknown names.
";

/// One setting as a process has read it, fit to be shown.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) name: &'static str,
    /// `None`: not set.
    pub(crate) value: Option<String>,
    pub(crate) origin: Origin,
}

/// The text of `deploy/settings.env`: every setting, explained, commented out at its default.
pub fn settings_env() -> String {
    let mut out = String::from(HEAD);
    for section in sections() {
        let _ = write!(out, "\n\n# == {} ==\n", section.title);
        for setting in section.settings {
            out.push('\n');
            comment(&mut out, setting.doc);
            comment(&mut out, setting.extremes);
            comment(&mut out, &format!("Accepted: {}.", setting.kind.accepts()));
            if setting.has_file() {
                comment(&mut out, &format!("Also as the path of a file: {}_FILE.", setting.name));
            }
            let _ = writeln!(out, "#{}={}", setting.name, setting.default.unwrap_or_default());
        }
    }
    out
}

/// The reference of all settings as Markdown: a table for each section.
pub fn settings_markdown() -> String {
    let mut out = String::new();
    for section in sections() {
        let _ = write!(out, "## {}\n\n| variable | default | accepted | |\n|---|---|---|---|\n", section.title);
        for setting in section.settings {
            let _ = writeln!(
                out,
                "| `{}`{} | {} | {} | {} {} |",
                setting.name,
                if setting.has_file() { ", `…_FILE`" } else { "" },
                default_cell(setting),
                cell(&setting.kind.accepts()),
                cell(setting.doc),
                cell(setting.extremes),
            );
        }
        out.push('\n');
    }
    out
}

/// What a process has read, one setting a line.
pub(crate) fn print(shown: &[Shown]) -> String {
    let mut out = String::new();
    for Shown { name, value, origin } in shown {
        let _ = match value {
            Some(value) => writeln!(out, "{name}={value}  # {origin}"),
            None => writeln!(out, "{name}=  # not set"),
        };
    }
    out
}

fn default_cell(setting: &Setting) -> String {
    setting.default.map_or_else(|| "not set".into(), |default| format!("`{default}`"))
}

/// A `|` would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Writes a sentence as comment lines of at most [`WIDTH`] characters.
fn comment(out: &mut String, text: &str) {
    let mut length = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count() + 1;
        if length == 0 || length + width > WIDTH {
            if length > 0 {
                out.push('\n');
            }
            out.push('#');
            length = 1;
        }
        out.push(' ');
        out.push_str(word);
        length += width;
    }
    out.push('\n');
}
