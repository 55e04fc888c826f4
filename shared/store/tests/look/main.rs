//! Looking at everything, on a real Redis: what it costs, and that bounds change no number that a walk completes.

mod cost; // commands, by what stands there
mod numbers; // looks with bounds beside one at everything
mod pool; // connections, and waiting for one
mod stand; // people and what waits for them
