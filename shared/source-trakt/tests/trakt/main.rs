//! The source against a server of its own.

mod fixture; // a server with one account
mod samples; // recorded answers, where they are at hand
mod suite; // what every source must pass
mod walks; // when the window is walked, and what a walk finds
