//! The source against a server of its own.

mod changes; // what a read finds
mod fixture; // a server with one plan
mod samples; // recorded answers, where they are at hand
mod suite; // what every source must pass
