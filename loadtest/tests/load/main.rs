//! The load test as somebody uses it who has never seen its code: by its command, its files and its exit code.

mod ask; // what is asked wrongly, and what is written
mod replay; // what was recorded, played again
mod tool; // the command
