#![doc = include_str!("../README.md")]
#![deny(clippy::float_arithmetic)]

mod api; // the requests, and what their refusals mean
mod cursor; // how far a connection was read
mod mapping; // what a transaction adds to its day
mod plan; // accounts and categories: what kind of money it is
mod transaction; // one row of an answer
mod ynab; // the source

pub use ynab::Ynab;
