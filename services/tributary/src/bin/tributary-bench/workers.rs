//! Processes of the two services behind the producers, as an operator starts them.

use std::time::Duration;

use anyhow::Context;
use loadtest::fleet::{Fleet, Role};

use crate::{meter, stand::Stand};

/// How long processes may take to start, or to leave.
const READY_WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct Workers {
    fleet: Fleet,
}

/// What one process took.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Taken {
    /// Such as `normaliser-1`.
    pub(crate) process: String,
    pub(crate) cpu_us: f64,
    /// The most resident memory, in megabytes of 2²⁰ bytes.
    pub(crate) peak_mb: f64,
}

impl Workers {
    /// So many of each, sharing all partitions.
    pub(crate) async fn start(stand: &Stand, processes: usize) -> anyhow::Result<Self> {
        let mut builder = Fleet::builder()
            // The producers are the fetcher.
            .processes(Role::Fetcher, 0)
            .processes(Role::Normaliser, processes)
            .processes(Role::ExistWriter, processes);
        for (name, value) in &stand.variables {
            builder = builder.setting(name, value);
        }
        let mut fleet = builder.start().await.context("starting the services")?;
        fleet.ready(READY_WITHIN).await?;
        stand.until_balanced(processes).await?;
        Ok(Self { fleet })
    }

    /// What each took since it was started.
    pub(crate) fn taken(&mut self) -> Vec<Taken> {
        let processes = self.fleet.processes().iter();
        let taken = processes.filter_map(|process| {
            let id = process.id()?;
            let (cpu_us, peak_mb) = (meter::cpu_us(id), meter::peak_mb(id));
            Some(Taken { process: process.name().to_owned(), cpu_us, peak_mb })
        });
        taken.collect()
    }

    /// Drains them.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.fleet.check()?;
        let killed = self.fleet.stop(READY_WITHIN).await?;
        anyhow::ensure!(killed.is_empty(), "{} did not leave when told", killed.join(", "));
        Ok(())
    }
}
