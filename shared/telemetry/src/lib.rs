#![doc = include_str!("../README.md")]

mod admin; //      the server that answers them
mod chain; //      an error with its causes, each once
mod error;
mod health; //     what the probes ask: started, alive, ready
mod logs; //       JSON lines for machines, text for people
pub mod metric; // the one list of every metric, and the only way to record one
mod recorder; //   the numbers as Prometheus reads them
pub mod trace; //  one in so many values, followed through the streams

pub use admin::{AdminServer, serve};
pub use chain::chain;
pub use error::TelemetryError;
pub use health::Health;
pub use logs::{LogFormat, init_logs};
pub use metric::{describe_all, touch, touch_open};
pub use metrics::{Counter, Gauge, Histogram};
pub use recorder::Recorder;
pub use trace::{TraceOptions, Traces};
