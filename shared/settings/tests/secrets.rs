//! No secret reaches a debug output, a printed setting or an error.

use std::fs;

use settings::{ExposeSecret, Sealer, Settings};

/// Loads a process's settings with a secret in every place that takes one.
fn planted(key: &str) -> Vec<(String, String)> {
    let mut env = vec![
        ("TRIBUTARY_REDIS_URL".to_owned(), "rediss://us:PLANTED-redis@cache:6380/".to_owned()),
        ("TRIBUTARY_ENCRYPTION_KEY".to_owned(), key.to_owned()),
    ];
    for peer in ["EXIST", "TRAKT", "YNAB", "GITHUB"] {
        env.push((format!("TRIBUTARY_{peer}_CLIENT_ID"), format!("our-id-at-{peer}")));
        env.push((format!("TRIBUTARY_{peer}_CLIENT_SECRET"), format!("PLANTED-{peer}")));
    }
    env
}

#[test]
fn settings_that_hold_secrets_are_shown_without_them() {
    let key = Sealer::generate_key();
    let settings = Settings::load(planted(key.expose_secret()), &[], None).unwrap();
    let shown = format!("{settings:?}\n{settings:#?}\n{}", settings.print());
    assert!(!shown.contains("PLANTED"), "{shown}");
    assert!(!shown.contains(key.expose_secret()), "{shown}");
    assert!(shown.contains("TRIBUTARY_ENCRYPTION_KEY=…  # variable"), "{shown}");
    assert!(shown.contains("TRIBUTARY_EXIST_CLIENT_SECRET=…  # variable"), "{shown}");
    assert!(shown.contains("TRIBUTARY_REDIS_URL=rediss://…@cache:6380/  # variable"), "{shown}");
    assert!(shown.contains("our-id-at-YNAB"), "an id is no secret: {shown}");
}

#[test]
fn errors_about_secrets_do_not_repeat_them() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tributary.toml");
    fs::write(&config, "ynab_client_secret = ['PLANTED-array']\nynab_client_secrt = 'PLANTED-typo'\n").unwrap();
    let env = [
        ("TRIBUTARY_ENCRYPTION_KEY", "k1:PLANTED-key"),
        ("TRIBUTARY_REDIS_URL", "redis://us:PLANTED-redis@cache/database"),
        ("TRIBUTARY_EXIST_API_URL", "https://us:PLANTED-base@exist.io/"),
        ("TRIBUTARY_GITHUB_CLIENT_SECRT", "PLANTED-misspelt"),
        ("TRIBUTARY_TRAKT_CLIENT_SECRET", "PLANTED-alone"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let flags = [("--exist-client-secrets".to_owned(), "PLANTED-flag".to_owned())];
    let errors = Settings::load(env, &flags, Some(&config)).unwrap_err();
    let shown = format!("{errors}\n{errors:?}\n{errors:#?}");
    assert!(!shown.contains("PLANTED"), "{shown}");
    assert_eq!(errors.0.len(), 8, "{errors}");
}

#[test]
fn a_configuration_file_that_cannot_be_parsed_is_not_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tributary.toml");
    fs::write(&config, "flush_after = '2s'\nexist_client_secret = 'PLANTED\n").unwrap();
    let errors = Settings::load([], &[], Some(&config)).unwrap_err();
    let shown = format!("{errors}\n{errors:?}");
    assert!(!shown.contains("PLANTED"), "{shown}");
    assert!(shown.contains("line 2"), "{shown}");
}
