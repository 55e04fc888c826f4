//! The kinds of value a setting takes, and how each is read from text.

mod base_url;
mod budget;
mod duration;
mod mask;
mod redis_url;

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::SecretString;

pub use base_url::BaseUrl;
pub use budget::Budget;
pub use redis_url::RedisUrl;

pub(crate) use duration::{DAY, HOUR, MILLISECOND, MINUTE, SECOND};

use crate::seal::Sealer;

/// What stands in the place of a secret wherever a value is shown.
pub(crate) const HIDDEN: &str = "…";

/// The longest value an error shows, in characters.
const SHOWN_MAX: usize = 80;

/// What serialises work on one external id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// The owner of its partition, in memory.
    Partition,
    /// A lock in Redis for every key, beside the partition's lease.
    Key,
}

/// Which of WhatPulse's two public APIs is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhatPulseApi {
    /// REST with a bearer key for each user.
    V1,
    /// The older one: public, without a key, cached for an hour.
    Legacy,
}

/// A kind of value, with its bounds (both included).
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// One Redis server or the seeds of a cluster; may hold a password.
    RedisUrl,
    /// The base of a peer's API.
    BaseUrl,
    /// Where a collector takes traces: encrypted or not, since no secret is sent to it.
    Collector,
    /// Any text.
    Text,
    /// Any text, never shown.
    Secret,
    /// Encryption keys, never shown.
    Keys,
    /// A length of time.
    Duration {
        /// The shortest accepted.
        min: Duration,
        /// The longest accepted.
        max: Duration,
    },
    /// A whole number.
    Count {
        /// The least accepted.
        min: u32,
        /// The most accepted.
        max: u32,
    },
    /// So many requests in a sliding window.
    Budget,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An IP address and port to listen on.
    Address,
}

/// A value that was read and is within its bounds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Redis(RedisUrl),
    Base(BaseUrl),
    Text(String),
    Secret(SecretString),
    Keys(Sealer),
    Duration(Duration),
    Count(u32),
    Budget(Budget),
    Choice(&'static str),
    Address(SocketAddr),
}

impl Kind {
    /// Reads a value; the error says why not, without repeating the value.
    pub(crate) fn parse(&self, text: &str) -> Result<Value, String> {
        if text.trim().is_empty() {
            return Err("it is empty; leave it out to use the default".into());
        }
        match *self {
            Self::RedisUrl => RedisUrl::parse(text).map(Value::Redis),
            Self::BaseUrl => BaseUrl::parse(text).map(Value::Base),
            Self::Collector => base_url::collector(text).map(Value::Text),
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::Secret => Ok(Value::Secret(text.into())),
            Self::Keys => Sealer::from_keys(text).map(Value::Keys).map_err(|error| error.to_string()),
            Self::Duration { min, max } => {
                let length = duration::parse(text)?;
                if length < min || length > max {
                    return Err("it is out of bounds".into());
                }
                Ok(Value::Duration(length))
            }
            Self::Count { min, max } => {
                let count = text.parse().map_err(|_| "it is no whole number".to_owned())?;
                if count < min || count > max {
                    return Err("it is out of bounds".into());
                }
                Ok(Value::Count(count))
            }
            Self::Budget => Budget::parse(text).map(Value::Budget),
            Self::Choice(words) => words
                .iter()
                .find(|word| **word == text)
                .map(|word| Value::Choice(word))
                .ok_or_else(|| "it is none of these words".to_owned()),
            Self::Address => text.parse().map(Value::Address).map_err(|_| "it is no IP address with a port".to_owned()),
        }
    }

    /// What is accepted, in a phrase that follows "accepted:".
    pub fn accepts(&self) -> String {
        match self {
            Self::RedisUrl => "redis://[user:password@]host[:port][/db], rediss:// (TLS), redis+unix:///path, \
                 or redis+cluster://host1:port,host2:port/ and rediss+cluster://"
                .into(),
            Self::BaseUrl => "an https:// address, or http:// on this machine (127.0.0.0/8, ::1, localhost), \
                 without user, query or fragment"
                .into(),
            Self::Collector => "an http:// or https:// address, without user, query or fragment".into(),
            Self::Text | Self::Secret => "any text that is not empty".into(),
            Self::Keys => "32 random bytes in base64 or hexadecimal, or several keys as id:base64,id:base64".into(),
            Self::Duration { min, max } => format!(
                "a length of time from {} to {}: a whole number and one of ms, s, m, h, d",
                duration::format(*min),
                duration::format(*max),
            ),
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Budget => Budget::ACCEPTS.into(),
            Self::Choice(words) => words.join(" or "),
            Self::Address => "an IP address and a port, such as 127.0.0.1:9464 or [::]:9464".into(),
        }
    }

    /// Whether a value holds a secret, or may.
    pub(crate) fn holds_secret(&self) -> bool {
        matches!(self, Self::RedisUrl | Self::Secret | Self::Keys)
    }

    /// The text as it may be shown to anybody.
    pub(crate) fn show(&self, text: &str) -> String {
        let shown = match self {
            Self::Secret | Self::Keys => HIDDEN.to_owned(),
            Self::RedisUrl | Self::BaseUrl | Self::Collector => mask::url(text),
            _ => text.to_owned(),
        };
        match shown.char_indices().nth(SHOWN_MAX) {
            Some((cut, _)) => format!("{}{HIDDEN}", &shown[..cut]),
            None => shown,
        }
    }
}
