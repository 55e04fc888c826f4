//! What `carry` leaves open: how fast partitions are owned again, and what is written down and what is left
//! alone after each fault, beside the numbers being right.

mod drain; // processes asked to leave
mod exist_faults; // refused values, tokens, limits
mod leases; // who owns which partition
#[allow(dead_code, reason = "`carry` asks it for more than we do")]
#[path = "../carry/show.rs"]
mod show; // a stage with processes on it
mod source_faults; // rows that cannot be read, keys that are refused
