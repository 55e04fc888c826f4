//! What becomes of raw entries, on a real Redis: each state, with its reason and the transaction that
//! caused it.

mod arrival; // the arrival rules
mod bench; // a normaliser, and a source that counts what it is told
mod paused; // what an operator paused
mod put_back; // what an operator put back
