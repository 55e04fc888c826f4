#![doc = include_str!("../README.md")]

pub mod demo;
pub mod exist; // the destination
pub mod fleet; // the real processes
pub mod judge; // what must come of it
pub mod toggl; // a source: tracked time
pub mod whatpulse; // a source: keys, clicks, traffic, uptime
pub mod world; // who uses them, and how // all of it together
