//! The source against a server of its own, through both APIs.

mod fixture; // a server with one account
mod samples; // the published answers, where they are at hand
mod suite; // what every source must pass
mod windows; // what is asked for, and how it is compared
