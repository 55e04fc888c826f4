//! The source against a server of its own.

mod fixture; // a server with one repository
mod hooks; // what GitHub sends by itself
mod passes; // what a reading of the repositories finds
mod samples; // recorded answers, where they are at hand
mod suite; // what every source must pass
