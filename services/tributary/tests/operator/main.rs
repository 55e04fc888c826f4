//! The operators' command as operators run it: the binary, its output and its exit codes, on a real Redis.

mod api; // what the console answers, and whom
mod connect; // sent to consent pages, and imported again
mod console; // what the console shows beside what the command says
mod dead_letters; // listed, put back, thrown away
mod dev; // everything in one process
mod pause; // what operators let wait
mod people; // import, list, show, remove
mod process; // a service as a process
mod secrets; // in no output, and nowhere in Redis
mod settings; // what does not fit is told, and how
mod stand; // a private Redis and the command on it
mod top; // the status on a terminal
