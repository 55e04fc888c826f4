#![doc = include_str!("../README.md")]
#![deny(clippy::float_arithmetic)]

mod account; // whose activity it is
mod api; // requests, pages, and what refusals mean
mod cursor; // how far a connection was read
mod github; // the source
mod hooks; // what GitHub sends by itself
mod mapping; // what a record adds to which day
mod object; // one row of an answer

pub use github::Github;
