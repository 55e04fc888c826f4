//! The real processes carry a week of thirteen people's activity to Exist while things go wrong. The judge
//! is Exist: at the end every number in it is the one that the sources' final records make.

mod chaos; // processes killed, stopped, drained; Redis restarted
mod exist_faults; // what Exist and the way to it do
mod explain; // where every number comes from
mod pause; // what operators let wait
mod recount; // a source counted anew
mod redis; // other shapes of Redis, and one that dies
mod redrive; // dead letters put back
mod repair; // what operators put right, and what puts itself right
mod replay; // ledgers rebuilt from their archives
mod rules; // other rules for the same records
mod show; // a stage with processes on it
mod source_faults; // what sources do
mod webhooks; // what sources send, and tokens
