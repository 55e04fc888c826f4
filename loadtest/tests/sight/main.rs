//! What is to be seen of the services: dashboards, alerts, and whether they tell the truth.
//!
//! Needs `prometheus` and `promtool`: `make prometheus` finds or installs them.

mod artefacts; // files as they are committed
mod board; // a dashboard as we write it down
mod boards; // what each shows
mod ledger; // what Redis says, read by hand
mod picture; // a dashboard drawn
mod prometheus; // a real one
#[allow(dead_code, reason = "`carry` asks it for more than we do")]
#[path = "../carry/show.rs"]
mod show; // a stage with processes on it
mod truth; // numbers, panels and alerts against a real run
