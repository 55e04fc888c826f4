//! What every source must pass.

use crate::fixture::Budget;

source::suite!(Budget::start().await);
