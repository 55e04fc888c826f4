//! What can go wrong while a process makes itself observable.

use std::io;
use std::net::SocketAddr;

/// Why logs, metrics or the admin server could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Installing the recorder: this process has one already.
    #[error("a metrics recorder is already installed")]
    RecorderInstalled,
    /// Installing the recorder: its upkeep needs a Tokio runtime, and there is none here.
    #[error("the metrics recorder was installed outside a Tokio runtime")]
    NoRuntime(#[source] tokio::runtime::TryCurrentError),
    /// Reading `RUST_LOG`: it is no filter.
    #[error("RUST_LOG is no log filter; accepted: such as info,store=debug")]
    Filter(#[source] tracing_subscriber::filter::FromEnvError),
    /// Installing the log: this process has one already.
    #[error("a log is already installed")]
    LogInstalled(#[source] tracing_subscriber::util::TryInitError),
    /// Starting traces: the collector's address, or another standard variable about it, cannot be used. The
    /// library's own error is not carried: it may repeat a secret.
    #[error("traces cannot be sent: check TRIBUTARY_OTLP_ENDPOINT and the OTEL_EXPORTER_OTLP_* variables")]
    Collector,
    /// Starting traces: what is to be traced is not said in one of the standard's words.
    #[error("cannot tell what to trace: {0}")]
    Sampler(String),
    /// Starting traces: this process traces already.
    #[error("this process sends traces already")]
    TracesInstalled,
    /// Starting the admin server: the address cannot be listened on.
    #[error("cannot listen on {addr} for health and metrics")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Serving health and metrics: the listener failed.
    #[error("the admin server stopped")]
    Serve(#[source] io::Error),
}
