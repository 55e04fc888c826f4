//! The dashboards' source: what each shows, in the order in which one looks.
//!
//! `dashboards/*.json` is made from it (`make dashboards`) and is what Grafana imports.

mod exist; // whom we call
mod leases; // ownership, locks, Redis
mod load; // while a load test runs
mod overview; // is all well
mod stage; // one stage after the other
mod stalled; // what stands still, what failed

use crate::board::Dashboard;

/// Every dashboard.
pub(crate) fn all() -> Vec<Dashboard> {
    vec![overview::board(), stalled::board(), stage::board(), exist::board(), leases::board(), load::board()]
}
