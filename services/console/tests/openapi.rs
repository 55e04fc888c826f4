//! The description of the API that stands in the repository is the one that is served.

use std::{fs, path::Path};

#[test]
fn the_description_in_the_repository_is_what_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let made = console::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "openapi.json is not up to date: `UPDATE=1 cargo test -p console@0.1.0` writes it anew");
    for secret in ["access_token", "refresh_token", "credentials", "payload", "api_key"] {
        assert!(!made.contains(secret), "{secret} is described");
    }
}
