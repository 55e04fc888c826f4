//! What is written about settings is what the list says.

use std::fs;
use std::path::Path;

use settings::{Settings, all, settings_env, settings_markdown};

#[test]
fn the_settings_file_in_deploy_is_the_one_the_list_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/settings.env");
    let made = settings_env();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "deploy/settings.env is not up to date: run `UPDATE=1 cargo test -p settings`");
}

#[test]
fn every_default_in_the_settings_file_loads_and_changes_nothing() {
    let made = settings_env();
    let env: Vec<(String, String)> = made
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once('='))
        .filter(|(name, value)| name.starts_with("TRIBUTARY_") && !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let defaults = all().filter(|setting| setting.default.is_some()).count();
    assert_eq!(env.len(), defaults);
    let loaded = Settings::load(env, &[], None).unwrap();
    let strip = |printed: String| printed.replace("# variable", "# default");
    assert_eq!(strip(loaded.print()), strip(Settings::default().print()));
}

#[test]
fn every_setting_is_in_the_reference_and_the_printed_list() {
    let (reference, printed) = (settings_markdown(), Settings::default().print());
    for setting in all() {
        assert!(reference.contains(&format!("| `{}`", setting.name)), "{}", setting.name);
        assert!(printed.contains(&format!("{}=", setting.name)), "{}", setting.name);
    }
}

#[test]
fn no_line_of_the_settings_file_is_too_long_to_read() {
    for line in settings_env().lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}
