#![doc = include_str!("../README.md")]
#![deny(clippy::float_arithmetic)]

mod api; // the requests, and what their refusals mean
mod cursor; // how far a connection was read
mod mapping; // what a play adds to which day
mod play; // one row of an answer
mod trakt; // the source

pub use trakt::Trakt;
