#![doc = include_str!("../README.md")]

pub mod exist; // the destination
pub mod whatpulse; // a source: keys, clicks, traffic, uptime
pub mod toggl; // a source: tracked time
pub mod world; // who uses them, and how
pub mod judge; // what must come of it
pub mod fleet; // the real processes
pub mod demo; // all of it together
