//! The demo's program, where the services are not what they should be.

use std::process::Command;

const FAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake-tributary.sh");

#[test]
fn a_service_that_ends_fails_the_demo_and_shows_its_log() {
    let output = Command::new(env!("CARGO_BIN_EXE_tributary-demo"))
        .env("TRIBUTARY_BIN", FAKE)
        .env("FAKE_DIES", "fetcher")
        .env("FAKE_PROGRAM", "/bin/true")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("fetcher-1 ended by itself (exit status: 3)"), "{said}");
    assert!(said.contains("out of luck"), "{said}");
    assert_eq!(output.stdout, b"");
}

#[test]
fn a_missing_program_is_said_plainly() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tributary-demo")).env("TRIBUTARY_BIN", "/nowhere/tributary").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("/nowhere/tributary"), "{said}");
}

#[test]
fn a_wrong_argument_is_exit_2() {
    let output = Command::new(env!("CARGO_BIN_EXE_tributary-demo")).arg("--sead").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
