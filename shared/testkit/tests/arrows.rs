//! Who may depend on whom: the workspace's arrows point down, and each crate is laid out alike.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A crate of the workspace and what it names from the workspace.
struct Crate {
    name: String,
    /// What it is linked with, when it is built to ship.
    uses: Vec<String>,
    /// What its tests are linked with, besides.
    tests_use: Vec<String>,
}

/// The rows of the workspace, from the bottom up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    /// Knows nobody.
    Base,
    /// Speaks to Redis; nothing else does.
    State,
    /// Knows no particular source, and not Exist.
    Engine,
    /// Calls other people's APIs.
    Edge,
    /// Reads settings, wires, runs.
    Service,
    /// Starts the services, and the simulators for trials.
    Command,
    /// Simulators and judge, written from the contracts and never from our own code.
    Strain,
    /// Throwaway servers, for tests alone.
    Test,
}

fn row(name: &str) -> Option<Row> {
    Some(match name {
        "event" | "ledger" | "settings" | "telemetry" => Row::Base,
        "store" => Row::State,
        "source" | "worker" => Row::Engine,
        "exist" => Row::Edge,
        name if name.starts_with("source-") => Row::Edge,
        "fetcher" | "normaliser" | "exist-writer" | "console" => Row::Service,
        "tributary" => Row::Command,
        "loadtest" => Row::Strain,
        "testkit" => Row::Test,
        _ => return None,
    })
}

/// Whether `user` may be linked with `used` when it ships.
fn may_use(user: &str, used: &str) -> bool {
    let (Some(from), Some(to)) = (row(user), row(used)) else { return false };
    match (from, to) {
        (Row::Base, _) => user == "ledger" && used == "event",
        (Row::State, Row::Base) => true,
        (Row::Engine, Row::Base) => true,
        // What a source says is the same wherever it is kept.
        (Row::Engine, Row::State) => user == "worker",
        (Row::Edge, Row::Base) => used != "ledger",
        (Row::Edge, Row::Engine) => used == "source",
        (Row::Service, Row::Base | Row::State | Row::Engine | Row::Edge) => true,
        (Row::Command, to) => !matches!(to, Row::Command | Row::Test),
        _ => false,
    }
}

/// Whether the tests of `user` may be linked with `used`.
fn tests_may_use(user: &str, used: &str) -> bool {
    match (row(user), row(used)) {
        (Some(Row::Test), _) => false,
        (Some(_), Some(Row::Test)) => true,
        (Some(from), Some(Row::Strain)) => from != Row::Strain,
        _ => may_use(user, used),
    }
}

/// Every arrow that points where it must not, and every crate that stands in no row.
fn wrong_arrows(crates: &[Crate]) -> Vec<String> {
    let mut wrong = Vec::new();
    for Crate { name, uses, tests_use } in crates {
        if row(name).is_none() {
            wrong.push(format!("{name} stands in no row: name one for it in shared/testkit/tests/arrows.rs"));
        }
        let shipped = uses.iter().filter(|used| !may_use(name, used));
        wrong.extend(shipped.map(|used| format!("{name} must not use {used}")));
        let tested = tests_use.iter().filter(|used| !tests_may_use(name, used));
        wrong.extend(tested.map(|used| format!("the tests of {name} must not use {used}")));
    }
    wrong
}

fn metadata() -> Value {
    // Cargo tells both to the tests it runs. What it told the compiler may be another checkout's,
    // where several share a target directory.
    let told = |variable| env::var_os(variable).expect("cargo runs this test and says where");
    let output = Command::new(told("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(told("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs, it has just run this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata writes JSON")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("cargo metadata gives {field} as a string"))
}

fn packages(metadata: &Value) -> &[Value] {
    metadata["packages"].as_array().expect("cargo metadata lists packages")
}

fn crates(metadata: &Value) -> Vec<Crate> {
    let read = |package: &Value| {
        let named = |tests: bool| {
            let dependencies = package["dependencies"].as_array().expect("a list, even if empty");
            dependencies
                .iter()
                // What has a path is ours.
                .filter(|dependency| dependency["path"].is_string())
                .filter(|dependency| (dependency["kind"] == "dev") == tests)
                .map(|dependency| text(dependency, "name").to_owned())
                .collect()
        };
        Crate { name: text(package, "name").to_owned(), uses: named(false), tests_use: named(true) }
    };
    packages(metadata).iter().map(read).collect()
}

#[test]
fn every_arrow_of_the_workspace_points_down() {
    let crates = crates(&metadata());
    assert!(crates.iter().any(|one| one.name == "testkit"), "the list lacks the crate that reads it");
    let wrong = wrong_arrows(&crates);
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_crate_has_a_readme_its_folders_name_and_the_workspaces_lints() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in packages(&metadata) {
        let (name, manifest) = (text(package, "name"), Path::new(text(package, "manifest_path")));
        let folder = manifest.parent().expect("a manifest stands in a folder");
        if !folder.ends_with(name) {
            wrong.push(format!("{name} stands in {}; the folder must have its name", folder.display()));
        }
        if !folder.join("README.md").is_file() {
            wrong.push(format!("{name} has no README.md"));
        }
        let manifest = fs::read_to_string(manifest).expect("cargo has just read it");
        if !manifest.contains("[lints]\nworkspace = true") {
            wrong.push(format!("{name} lacks `[lints]` with `workspace = true`"));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn an_arrow_that_points_up_or_aside_is_named() {
    let arrows = [
        ("event", "ledger"),
        ("settings", "telemetry"),
        ("store", "worker"),
        ("store", "store"),
        ("source", "store"),
        ("worker", "source"),
        ("exist", "store"),
        ("exist", "ledger"),
        ("source-toggl", "worker"),
        ("source-toggl", "source-ynab"),
        ("fetcher", "normaliser"),
        ("fetcher", "loadtest"),
        ("worker", "fetcher"),
        ("loadtest", "event"),
        ("fetcher", "testkit"),
        ("tributary", "testkit"),
        ("testkit", "event"),
        ("stranger", "event"),
    ];
    for (user, used) in arrows {
        let one = Crate { name: user.to_owned(), uses: vec![used.to_owned()], tests_use: vec![] };
        let wrong = wrong_arrows(&[one]);
        assert!(wrong.contains(&format!("{user} must not use {used}")), "{user} -> {used}: {wrong:?}");
    }
}

#[test]
fn tests_may_use_testkit_and_the_simulators_but_break_no_other_arrow() {
    assert!(tests_may_use("store", "testkit"));
    assert!(tests_may_use("exist", "loadtest"));
    assert!(tests_may_use("loadtest", "testkit"));
    assert!(!tests_may_use("loadtest", "exist"));
    assert!(!tests_may_use("store", "worker"));
    assert!(!tests_may_use("testkit", "store"));
}
