//! Key locks on a real Redis: who gets them, what they refuse, and that nothing is lost to a race.

mod interleavings; // owner and outsider, in every order of their steps
mod outsider; // taking, losing, listing
mod owner; // what is refused, what waits
mod stand; // one partition with an owner
