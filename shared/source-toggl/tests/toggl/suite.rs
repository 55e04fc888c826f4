//! What every source must pass.

use crate::fixture::Track;

source::suite!(Track::start().await);
