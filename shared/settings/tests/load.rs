//! Where settings come from, which source wins, and how everything wrong is reported together.

use std::fs;
use std::time::Duration;

use settings::{Budget, ExposeSecret, LockMode, RedisUrl, Settings, SettingsErrors, WhatPulseApi};

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(pairs: &[(&str, &str)]) -> Result<Settings, SettingsErrors> {
    Settings::load(env(pairs), &[], None)
}

fn errors(pairs: &[(&str, &str)]) -> String {
    load(pairs).unwrap_err().to_string()
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn without_any_setting_every_default_holds() {
    let settings = Settings::default();
    assert!(
        matches!(&settings.redis_url, RedisUrl::Single { url } if url.expose_secret() == "redis://127.0.0.1:6379/")
    );
    assert_eq!(settings.partitions, 64);
    assert_eq!(settings.lock_mode, LockMode::Partition);
    assert_eq!(settings.retention, 3 * DAY);
    assert_eq!(settings.backfill_days, 30);
    assert_eq!(settings.flush_after, 2 * SECOND);
    assert_eq!(settings.exist_budget, Budget { requests: 300, window: 60 * MINUTE });
    assert_eq!(settings.exist_call_timeout, 5 * SECOND);
    assert_eq!(settings.exist_settle, 30 * SECOND);
    assert_eq!(settings.profile_refresh, DAY);
    assert_eq!(settings.whatpulse_api_kind, WhatPulseApi::V1);
    assert!(settings.apps.exist.is_none() && settings.encryption_key.is_none());
    assert!(settings.admin_addr.is_none() && settings.webhook_addr.is_none() && settings.console_addr.is_none());
    for (source, base) in [
        ("exist", "https://exist.io/api/2"),
        ("whatpulse", "https://whatpulse.org/api/v1"),
        ("trakt", "https://api.trakt.tv"),
        ("toggl", "https://api.track.toggl.com/api/v9"),
        ("ynab", "https://api.ynab.com/v1"),
        ("github", "https://api.github.com"),
    ] {
        assert_eq!(settings.peers.base(source).map(|base| base.as_str()), Some(base));
    }
    assert!(settings.peers.base("elsewhere").is_none());
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tributary.toml");
    fs::write(&file, "flush_after = '3s'\nretention = '1d'\nbackfill_days = 7\npartitions = 16\n").unwrap();
    let env = env(&[("TRIBUTARY_FLUSH_AFTER", "4s"), ("TRIBUTARY_RETENTION", "2d"), ("PATH", "/bin")]);
    for flag in ["--flush-after", "flush-after", "flush_after"] {
        let flags = [(flag.to_owned(), "5s".to_owned())];
        let settings = Settings::load(env.clone(), &flags, Some(&file)).unwrap();
        assert_eq!(settings.flush_after, 5 * SECOND, "flag");
        assert_eq!(settings.retention, 2 * DAY, "variable");
        assert_eq!(settings.backfill_days, 7, "file");
        assert_eq!(settings.lock_mode, LockMode::Partition, "default");
        let printed = settings.print();
        assert!(printed.contains("TRIBUTARY_FLUSH_AFTER=5s  # flag\n"), "{printed}");
        assert!(printed.contains("TRIBUTARY_RETENTION=2d  # variable\n"), "{printed}");
        assert!(printed.contains("TRIBUTARY_BACKFILL_DAYS=7  # file "), "{printed}");
        assert!(printed.contains("TRIBUTARY_LOCK_MODE=partition  # default\n"), "{printed}");
        assert!(printed.contains("TRIBUTARY_ADMIN_ADDR=  # not set\n"), "{printed}");
    }
}

#[test]
fn a_variable_may_name_the_configuration_file_and_a_flag_another() {
    let folder = tempfile::tempdir().unwrap();
    let (named, given) = (folder.path().join("named.toml"), folder.path().join("given.toml"));
    fs::write(&named, "flush_after = '3s'").unwrap();
    fs::write(&given, "flush_after = '4s'").unwrap();
    let env = env(&[("TRIBUTARY_CONFIG", named.to_str().unwrap())]);
    assert_eq!(Settings::load(env.clone(), &[], None).unwrap().flush_after, 3 * SECOND);
    assert_eq!(Settings::load(env, &[], Some(&given)).unwrap().flush_after, 4 * SECOND);
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tributary.toml");
    fs::write(&file, "flush_afer = '3s'\nretention = 3\nlock_mode = ['key']\n[exist]\napi_url = 'https://a'\n")
        .unwrap();
    let env = env(&[
        ("TRIBUTARY_PARTITIONS", "0"),
        ("TRIBUTARY_EXIST_BUDGET", "300"),
        ("TRIBUTARY_TOGGL_API_URL", "http://api.track.toggl.com"),
        ("TRIBUTARY_EXIST_CLIENT_ID", "abc"),
        ("TRIBUTARY_YNAB_CLIENT_SECRET_FILE", "/nowhere/secret"),
        ("TRIBUTARY_ADMIN_ADDR", "9464"),
        ("TRIBUTARY_CONSOL_ADDR", "127.0.0.1:1"),
        ("TRIBUTARY_BIN", "target/release/tributary"),
        ("TRIBUTARY_SAMPLES", "samples"),
    ]);
    let flags = [("--no-such-flag".to_owned(), "1".to_owned())];
    let errors = Settings::load(env, &flags, Some(&file)).unwrap_err();
    let text = errors.to_string();
    for part in [
        "flush_afer (file ",
        "did you mean flush_after?",
        "retention",
        "TRIBUTARY_LOCK_MODE",
        "exist (file ",
        "TRIBUTARY_PARTITIONS = \"0\" (variable): it is out of bounds; accepted: a whole number from 1 to 1024",
        "TRIBUTARY_EXIST_BUDGET = \"300\"",
        "TRIBUTARY_TOGGL_API_URL = \"http://api.track.toggl.com\" (variable): http is for this machine only",
        "TRIBUTARY_EXIST_CLIENT_SECRET: not set, but TRIBUTARY_EXIST_CLIENT_ID is",
        "TRIBUTARY_YNAB_CLIENT_SECRET_FILE = \"/nowhere/secret\": cannot read it",
        "TRIBUTARY_ADMIN_ADDR = \"9464\"",
        "TRIBUTARY_CONSOL_ADDR (variable): no such setting; did you mean TRIBUTARY_CONSOLE_ADDR?",
        "--no-such-flag (flag): no such setting",
    ] {
        assert!(text.to_lowercase().contains(&part.to_lowercase()), "{part:?} is missing from:\n{text}");
    }
    assert_eq!(text.lines().count(), errors.0.len());
    assert_eq!(errors.0.len(), 12, "{text}");
}

#[test]
fn a_bad_value_that_others_fall_back_to_is_reported_once() {
    let text = errors(&[("TRIBUTARY_POLL_INTERVAL", "5")]);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("a bare number has no unit"), "{text}");
}

#[test]
fn an_interval_is_the_sources_own_else_the_general_one_else_the_sources_default() {
    let unset = Settings::default();
    for (source, minutes) in [("whatpulse", 30), ("trakt", 15), ("toggl", 5), ("ynab", 30), ("github", 10), ("new", 5)]
    {
        assert_eq!(unset.poll_interval(source), minutes * MINUTE, "{source}");
    }
    let general = load(&[("TRIBUTARY_POLL_INTERVAL", "1s")]).unwrap();
    for source in ["whatpulse", "trakt", "toggl", "ynab", "github", "new"] {
        assert_eq!(general.poll_interval(source), SECOND, "{source}");
    }
    assert!(general.print().contains("TRIBUTARY_TRAKT_POLL_INTERVAL=1s  # by TRIBUTARY_POLL_INTERVAL"));
    let own = load(&[("TRIBUTARY_POLL_INTERVAL", "1s"), ("TRIBUTARY_TOGGL_POLL_INTERVAL", "2m")]).unwrap();
    assert_eq!(own.poll_interval("toggl"), 2 * MINUTE);
    assert_eq!(own.poll_interval("trakt"), SECOND);
}

#[test]
fn bounds_are_accepted_and_what_is_beyond_them_is_not() {
    for (name, inside, outside) in [
        ("TRIBUTARY_POLL_INTERVAL", ["1s", "1d"], ["999ms", "25h"]),
        ("TRIBUTARY_RETENTION", ["1m", "30d"], ["59s", "31d"]),
        ("TRIBUTARY_BACKFILL_DAYS", ["0", "365"], ["-1", "366"]),
        ("TRIBUTARY_PARTITIONS", ["1", "1024"], ["0", "1025"]),
        ("TRIBUTARY_FLUSH_AFTER", ["0s", "1h"], ["0", "61m"]),
        ("TRIBUTARY_EXIST_CALL_TIMEOUT", ["1s", "5s"], ["999ms", "5001ms"]),
        ("TRIBUTARY_EXIST_SETTLE", ["100ms", "15m"], ["99ms", "16m"]),
        ("TRIBUTARY_LOCK_MODE", ["partition", "key"], ["Key", ""]),
        ("TRIBUTARY_WHATPULSE_API", ["v1", "legacy"], ["v2", " "]),
        ("TRIBUTARY_WEBHOOK_ADDR", ["127.0.0.1:80", "[::]:0"], ["localhost:80", "127.0.0.1"]),
    ] {
        for value in inside {
            assert!(load(&[(name, value)]).is_ok(), "{name}={value}");
        }
        for value in outside {
            assert!(errors(&[(name, value)]).contains(name), "{name}={value}");
        }
    }
}

#[test]
fn the_older_whatpulse_api_brings_its_own_address() {
    let legacy = load(&[("TRIBUTARY_WHATPULSE_API", "legacy")]).unwrap();
    assert_eq!(legacy.whatpulse_api_kind, WhatPulseApi::Legacy);
    assert_eq!(legacy.peers.whatpulse_api.as_str(), "https://api.whatpulse.org");
    let set = load(&[("TRIBUTARY_WHATPULSE_API", "legacy"), ("TRIBUTARY_WHATPULSE_API_URL", "http://127.0.0.1:9/")]);
    assert_eq!(set.unwrap().peers.whatpulse_api.as_str(), "http://127.0.0.1:9");
}

#[test]
fn a_cluster_is_named_by_its_seeds() {
    let settings = load(&[("TRIBUTARY_REDIS_URL", "redis+cluster://a:1,b:2/")]).unwrap();
    assert!(matches!(&settings.redis_url, RedisUrl::Cluster { urls } if urls.len() == 2));
}

#[test]
fn a_secret_may_come_from_a_file_without_the_newline_at_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, "0123\r\n").unwrap();
    let path = file.to_str().unwrap();
    let app = load(&[("TRIBUTARY_TRAKT_CLIENT_ID", "us"), ("TRIBUTARY_TRAKT_CLIENT_SECRET_FILE", path)]);
    assert_eq!(app.unwrap().apps.trakt.unwrap().client_secret.expose_secret(), "0123");

    fs::write(&file, "redis://:pass@cache/\n").unwrap();
    let redis = load(&[("TRIBUTARY_REDIS_URL_FILE", path)]).unwrap().redis_url;
    assert_eq!(redis.urls()[0].expose_secret(), "redis://:pass@cache/");

    fs::write(&file, "\n").unwrap();
    let text = errors(&[("TRIBUTARY_ENCRYPTION_KEY_FILE", path)]);
    assert!(text.contains("TRIBUTARY_ENCRYPTION_KEY") && text.contains("empty"), "{text}");
}

#[test]
fn a_setting_that_holds_no_secret_has_no_file() {
    assert!(errors(&[("TRIBUTARY_FLUSH_AFTER_FILE", "/tmp/x")]).contains("no such setting"));
}

#[test]
fn a_secret_and_its_file_in_one_place_are_refused_and_in_two_the_higher_wins() {
    let both = [("TRIBUTARY_ENCRYPTION_KEY", "k"), ("TRIBUTARY_ENCRYPTION_KEY_FILE", "/nowhere")];
    assert!(errors(&both).contains("given twice"));

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tributary.toml");
    fs::write(&config, "github_client_id = 'us'\ngithub_client_secret_file = '/nowhere'").unwrap();
    let env = env(&[("TRIBUTARY_GITHUB_CLIENT_SECRET", "from a variable")]);
    let settings = Settings::load(env, &[], Some(&config)).unwrap();
    assert_eq!(settings.apps.github.unwrap().client_secret.expose_secret(), "from a variable");
}

#[test]
fn a_secret_that_toml_would_read_as_a_number_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tributary.toml");
    fs::write(&config, "github_client_id = 'us'\ngithub_client_secret = 123987").unwrap();
    let text = Settings::load([], &[], Some(&config)).unwrap_err().to_string();
    assert!(text.contains("TRIBUTARY_GITHUB_CLIENT_SECRET") && text.contains("in quotes"), "{text}");
    assert!(!text.contains("123987"), "{text}");
}
