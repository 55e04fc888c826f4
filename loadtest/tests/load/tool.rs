//! The command, in a folder of its own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

/// Twenty people, four seconds, a little of everything.
const SMALL: &str = r#"
about = "small"
seed = 5
[people]
count = 20
zipf-hundredths = 50
[stream]
via = "webhooks"
before = 40
[[stream.load]]
arrivals = "poisson"
rate = 40
lasts = "4s"
[stream.shares]
duplicates = 80
out-of-order = 80
out-of-order-by = "1s"
edits = 150
deletions = 60
moved = 60
late = 60
poison = 10
[bounds]
converged-within = "90s"
"#;

pub(crate) struct Tool {
    folder: TempDir,
}

impl Tool {
    pub(crate) fn new() -> Tool {
        let tool = Tool { folder: tempfile::tempdir().expect("a folder") };
        tool.scenario("small", SMALL);
        tool
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A scenario beside the others, made from the small one.
    pub(crate) fn scenario(&self, name: &str, toml: &str) {
        std::fs::write(self.path(&format!("{name}.toml")), toml).expect("it can be written");
    }

    /// The small scenario with more bounds.
    pub(crate) fn bounded(&self, name: &str, bounds: &str) {
        self.scenario(name, &format!("{SMALL}{bounds}\n"));
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary-load"));
        command.args(arguments).current_dir(self.folder.path()).output().expect("it can be started")
    }

    /// What a run wrote under this name.
    pub(crate) fn outcome(&self, folder: &str, name: &str) -> Value {
        read(&self.path(folder).join(format!("{name}.json")))
    }
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("it is JSON")
}

/// What a run said and that it ended well.
pub(crate) fn good(output: &Output) -> String {
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    assert!(output.status.success(), "{}: {said}", output.status);
    said
}
