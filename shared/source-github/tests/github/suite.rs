//! What every source must pass.

use crate::fixture::Forge;

source::suite!(Forge::start().await);
