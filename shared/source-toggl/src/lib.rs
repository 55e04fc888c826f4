#![doc = include_str!("../README.md")]
#![deny(clippy::float_arithmetic)]

mod api; // the two requests, and what their refusals mean
mod cursor; // how far a connection was read
mod entry; // one row of an answer
mod hooks; // what Toggl sends by itself
mod mapping; // what an entry adds to which day
mod projects; // which client a project belongs to
mod split; // a duration over the days of a span
mod toggl; // the source

pub use toggl::Toggl;
