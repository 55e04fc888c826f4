//! Every number in Exist is exact, or listed as undecided, in total mode and in increment mode, whatever Exist,
//! the way to it, our own processes and Redis do. The simulated Exist's own record is the judge.

mod budget; // many writers, little budget
mod busy; // people at it while things go wrong
mod crash; // processes that die at each named step
mod faults; // what Exist and the way to it do
mod listed; // what the services say they cannot know
mod redis; // a Redis that dies under load, and one that comes back empty
#[allow(dead_code, reason = "`carry` asks it for more than we do")]
#[path = "../carry/show.rs"]
mod show; // a stage with processes on it
