//! Points at which a test may make the process die, to see that nothing is counted twice or lost.

/// Dies here if the variable `FAILPOINTS` says so (`stream::handled=return`). Compiled in only where
/// the workspace is built with its tests.
macro_rules! crash_point {
    ($name:literal) => {
        fail::fail_point!($name, |_| std::process::abort())
    };
}
pub(crate) use crash_point;
