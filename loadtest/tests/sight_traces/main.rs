//! What traces, logs and everything else that leaves our processes tell, and what they must not.

mod collector; // takes spans, as any collector does
mod collector_gone; // what it costs when there is none
mod follow; // a value from its webhook to Exist
mod later; // what is put off, put back or tried again
mod lines; // the log's lines and their traces
mod picture; // a trace drawn
mod protobuf; // the wire format, read by hand
mod secrets; // planted, and nowhere to be found
#[allow(dead_code, reason = "`carry` asks it for more than we do")]
#[path = "../carry/show.rs"]
mod show; // a stage with processes on it
mod stand; // processes that send their spans to a collector
