#![doc = include_str!("../README.md")]
#![deny(clippy::float_arithmetic)]

mod cursor; // which windows were read, and which pulses they held
mod legacy; // the public API without a key
mod mapping; // what a pulse adds to which day
mod number; // numbers as they are spelled, to whole base units
mod pulse; // one row of either API
mod v1; // the API with a key
mod whatpulse; // the source

pub use whatpulse::{ApiKind, WhatPulse};
