//! The source against a server of its own.

mod changes; // how far each read moves
mod fixture; // a server with one account
mod samples; // recorded answers, where they are at hand
mod suite; // what every source must pass
