//! Invented people, what they do while the services run, and the plumbing that their sources share.

pub(crate) mod bearer; // requests with bearer tokens
mod clock; // what time a simulator believes it is
pub(crate) mod fault; // what goes wrong on request
pub(crate) mod grants; // tokens that are renewed
mod import; // the people as `tributary connections import` reads them
mod mapping; // which records feed which attribute
mod pastime; // films, money and code
mod people; // who they are
mod player; // carries steps to the simulators
pub(crate) mod quota; // requests in a window, and a leaking bucket
pub(crate) mod random; // a seed's numbers
pub(crate) mod request_log; // what a simulator was asked
mod script; // the rounds of steps that a seed makes
pub(crate) mod server; // HTTP on loopback, with a knife
mod zones; // who lives where, and who lives through a clock change

pub use clock::Clock;
pub use fault::{Fault, Faults, Malformed, Spoiled};
pub use import::{ExistTokens, import_file};
pub use mapping::{GithubWord, Kind, Mapping, Mode, Rule, TraktWord, WhatPulseField};
pub use pastime::{Pastime, Pastimes};
pub use people::{Person, Workplace};
pub use player::{Played, Player};
pub use request_log::{REQUESTS_MAX, Request, RequestLog};
pub use script::{Round, Step, World};
pub use zones::{ClockChange, PEOPLE_ZONES, clock_change};

pub(crate) use clock::{whole_microsecond, whole_second};
