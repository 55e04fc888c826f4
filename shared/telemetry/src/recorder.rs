//! The process's metrics, kept by the recorder and read as Prometheus's text format.

mod process;
mod runtime;
mod text;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};

use crate::error::TelemetryError;
use crate::metric::{self, ALL, CALL_BUCKETS, Kind, Page};

/// How often observations are folded into their buckets; without it they pile up until a scrape.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The process's metrics. Clones are the same metrics.
#[derive(Clone, Debug)]
pub struct Recorder {
    prometheus: PrometheusHandle,
    page: Arc<Mutex<Option<Page>>>,
}

impl Recorder {
    /// Makes this process's recorder, and starts its upkeep on the current runtime.
    ///
    /// Call it first: what is recorded earlier is lost, and handles made earlier stay silent.
    ///
    /// # Errors
    /// - [`TelemetryError::RecorderInstalled`]: a process has one.
    /// - [`TelemetryError::NoRuntime`]: call it from within Tokio's runtime.
    pub fn install(service: &str, version: &str) -> Result<Self, TelemetryError> {
        let runtime = Handle::try_current().map_err(TelemetryError::NoRuntime)?;
        let (recorder, handle) = Self::build();
        metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::RecorderInstalled)?;
        metric::describe_all();
        handle.announce(service, version);
        runtime.spawn(handle.clone().upkeep());
        Ok(handle)
    }

    /// A recorder with our buckets and names, not yet installed.
    pub(crate) fn build() -> (PrometheusRecorder, Self) {
        // A histogram without buckets would come out as a summary, which cannot be added across processes.
        let mut builder = PrometheusBuilder::new()
            .with_recommended_naming(true)
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &CALL_BUCKETS)
            .expect("there are buckets for calls");
        for metric in ALL.iter().filter(|metric| metric.kind == Kind::Histogram) {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(metric.name.into()), metric.buckets)
                .expect("a test checks that every histogram has buckets");
        }
        let recorder = builder.build_recorder();
        let prometheus = recorder.handle();
        (recorder, Self { prometheus, page: Arc::default() })
    }

    /// Says that this process runs this service, and touches the counters that every process has.
    ///
    /// A process that runs several services calls it for each.
    pub fn announce(&self, service: &str, version: &str) {
        let git_sha = option_env!("GIT_SHA").unwrap_or("unknown");
        let (service, version) = (service.to_owned(), version.to_owned());
        crate::counter!(SPANS_LOST, service = service.clone()).increment(0);
        crate::gauge!(BUILD_INFO, service = service, version = version, git_sha = git_sha).set(1);
        metric::touch_open(&metric::LOGGED, "", &[], &[]);
    }

    /// All metrics in Prometheus's text format, with the process and the runtime as they are now.
    pub fn render(&self) -> String {
        let mut out = self.prometheus.render();
        if let Some(page) = &*self.page.lock().unwrap_or_else(PoisonError::into_inner) {
            page.render(&mut out);
        }
        process::render(&mut out);
        runtime::render(&mut out);
        out
    }

    /// Shows these gauges in the place of those shown before; none, and they are gone.
    pub fn show(&self, page: Option<Page>) {
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = page;
    }

    async fn upkeep(self) {
        let mut tick = interval(UPKEEP_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.prometheus.run_upkeep();
        }
    }
}

#[cfg(test)]
mod tests;
