//! What every source must pass.

use crate::fixture::Watcher;

source::suite!(Watcher::start().await);
