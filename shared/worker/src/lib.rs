#![doc = include_str!("../README.md")]

mod assign; // who should own what
mod backoff; // how long before the next attempt
mod breaker; // leaving a failing peer alone
mod crash; // where a test may make us die
pub mod due; // what a schedule says
mod lanes; // whose turn it is
mod meter; // what a stage counts
mod stage; // a stage's leases and tasks
pub mod stream; // what a stream brings
mod tickets; // turns at the pace of what they lead to

pub use assign::{Moves, moves, preferred};
pub use backoff::Backoff;
pub use breaker::Breaker;
pub use lanes::Lanes;
pub use stage::{PartitionWork, StageContext, member_name, run};
pub use tickets::{Ticket, Tickets};
