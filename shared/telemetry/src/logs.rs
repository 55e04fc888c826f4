//! The log: JSON lines for machines, text for people, and a count of both.

mod line; // a JSON line, with the ids of its trace

use std::io::{IsTerminal, stderr, stdout};
use std::str::FromStr;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::error::TelemetryError;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, on standard output: for processes whose output a collector reads.
    Json,
    /// Text on standard error: for people, and for commands whose output is data.
    Text,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("accepted: json or text".into()),
        }
    }
}

/// Starts the process's log: times in UTC, `info` and above unless `RUST_LOG` says otherwise.
///
/// Every line written is counted in `tributary_logged_total`. A JSON line written within a span that is traced
/// carries its `trace_id` and `span_id`.
///
/// # Errors
/// - [`TelemetryError::Filter`]: `RUST_LOG` cannot be read.
/// - [`TelemetryError::LogInstalled`]: the process has a log.
pub fn init_logs(format: LogFormat) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env()
        .map_err(TelemetryError::Filter)?;
    match format {
        LogFormat::Json => json(filter, stdout).try_init(),
        LogFormat::Text => {
            let colours = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            text(filter, stderr, colours).try_init()
        }
    }
    .map_err(TelemetryError::LogInstalled)
}

fn json<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // The fields of an event beside its message: a query names them without a prefix.
    let format = fmt::format().json().flatten_event(true).with_current_span(false).with_span_list(false);
    let lines = fmt::layer().json().event_format(line::Traced(format)).with_writer(writer);
    started(filter, lines)
}

fn text<W>(filter: EnvFilter, writer: W, colours: bool) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_ansi(colours).with_writer(writer);
    started(filter, lines)
}

/// Lines that pass the filter, counted; and room for traces, whatever the filter says.
fn started<L>(filter: EnvFilter, lines: L) -> impl Subscriber + Send + Sync
where
    L: Layer<Registry> + Send + Sync + 'static,
{
    let lines = lines.and_then(Count).with_filter(crate::trace::other_than_spans(filter));
    tracing_subscriber::registry().with(lines).with(crate::trace::layer())
}

/// Counts what passes the filter.
///
/// The handle is looked up for every line: lines are few, and the recorder may come after the log.
struct Count;

impl<S: Subscriber> Layer<S> for Count {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        crate::counter!(LOGGED, level = level).increment(1);
    }
}

#[cfg(test)]
mod tests;
