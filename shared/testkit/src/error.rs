//! What can go wrong while setting a test up.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a server or cluster could not be had.
#[derive(Debug, thiserror::Error)]
pub enum TestkitError {
    /// No server is installed; installing one is the only cure.
    #[error(
        "no redis-server or valkey-server in TRIBUTARY_REDIS_SERVER, PATH or .redis/bin: \
         run `make redis`, or as root `apt-get install redis-server`"
    )]
    NoServer,
    /// `TRIBUTARY_REDIS_SERVER` names something that is no file.
    #[error("TRIBUTARY_REDIS_SERVER is {0}, and there is no such file")]
    NamedServerMissing(PathBuf),
    /// A directory, port or process could not be had from the machine.
    #[error("{doing}")]
    Machine {
        /// What we were doing.
        doing: &'static str,
        /// The machine's answer.
        #[source]
        source: io::Error,
    },
    /// The server ended before it was ready; its log says why.
    #[error("the server ended before it was ready; its log:\n{log}")]
    Ended {
        /// The end of the server's log.
        log: String,
    },
    /// The server or cluster was not ready in time.
    #[error("not ready within {within:?}: {last}")]
    NotReady {
        /// How long we waited.
        within: Duration,
        /// What it last said.
        last: String,
    },
    /// A command that sets a server up was refused.
    #[error("setting up with {command}")]
    Command {
        /// The command, without its arguments.
        command: &'static str,
        /// The server's answer.
        #[source]
        source: redis::RedisError,
    },
}

impl TestkitError {
    /// Names what we were doing when the machine refused.
    pub(crate) fn machine(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Machine { doing, source }
    }

    /// The whole chain in one line, for the panic that fails the test.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
