//! Threads of their own: whoever tells and looks waits for no peer's work, nor peers for theirs.

use std::future::Future;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads of each kind.
const EACH: usize = 2;

/// A few threads, until dropped.
#[derive(Debug)]
pub(crate) struct Threads(Option<Runtime>);

impl Threads {
    /// Starts them; `name` is what the system calls them.
    pub(crate) fn start(name: &str) -> Result<Threads> {
        let runtime = Builder::new_multi_thread().worker_threads(EACH).thread_name(name).enable_all().build();
        Ok(Threads(Some(runtime.with_context(|| format!("starting the threads {name}"))?)))
    }

    /// Where to start what should run on them.
    pub(crate) fn handle(&self) -> &Handle {
        self.0.as_ref().expect("it is there until dropped").handle()
    }

    /// Runs something on them to its end; what it starts stays on them.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.handle().spawn(work).await.context("a thread of the load test panicked")?
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Not waited for: this may be a thread that must not block.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_runs_on_them_runs_elsewhere_and_they_can_be_dropped_anywhere() {
        let threads = Threads::start("tellers").unwrap();
        let name = threads.run(async { Ok(std::thread::current().name().map(str::to_owned)) }).await.unwrap();
        assert_eq!(name.as_deref(), Some("tellers"));
    }
}
