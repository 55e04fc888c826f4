//! What a stream brings, on a real Redis.

mod order; // order, turns, overflow, parking, crashes and take-over
mod stand; // a partition's stream, and a handler that writes down what it handled
