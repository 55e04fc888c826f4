//! What a stream brings, on a real Redis.

mod locks; // users under somebody's key lock
mod order; // order, turns, overflow, parking, crashes and take-over
mod scribe; // a handler whose effects rest on what it read
mod stand; // a partition's stream, and a handler that writes down what it handled
mod told; // entries that a ring tells
