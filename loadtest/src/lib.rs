#![doc = include_str!("../README.md")]

pub mod demo;
pub mod exist; // the destination
pub mod fleet; // the real processes
pub mod github; // a source: issues, comments, pull requests, commits
pub mod judge; // what must come of it
pub mod load; // a stream at any rate, judged and measured
pub mod toggl; // a source: tracked time
pub mod trakt; // a source: what was watched
pub mod whatpulse; // a source: keys, clicks, traffic, uptime
pub mod world; // who uses them, and how
pub mod ynab; // a source: money
