//! Where Redis is: one server, or the seeds of a cluster.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::mask;

/// The port of a Redis that names none.
const PORT: u16 = 6379;

/// One Redis server, or the seed nodes of a Redis Cluster, as addresses its client opens.
///
/// An address may carry a password, so [`Debug`] and [`fmt::Display`] show it without.
#[derive(Clone)]
pub enum RedisUrl {
    /// One server: `redis://`, `rediss://`, `redis+unix://` or `unix://`.
    Single {
        /// The address, as given.
        url: SecretString,
    },
    /// A cluster.
    Cluster {
        /// One `redis://` or `rediss://` address for each seed node; at least one.
        urls: Vec<SecretString>,
    },
}

impl RedisUrl {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| "there is no `://` in it".to_owned())?;
        match scheme {
            "redis" | "rediss" => {
                check_server(text)?;
                Ok(Self::Single { url: text.into() })
            }
            "redis+unix" | "unix" => {
                let path = rest.split(['?', '#']).next().unwrap_or_default();
                if !path.starts_with('/') || path.len() < 2 {
                    return Err("a socket's path begins with `/`".into());
                }
                Ok(Self::Single { url: text.into() })
            }
            "redis+cluster" => Self::cluster("redis", rest),
            "rediss+cluster" => Self::cluster("rediss", rest),
            _ => Err("its scheme is not one of ours".into()),
        }
    }

    /// `[user:password@]host[:port],host[:port]…[/][?query]`: what is written once holds for every node.
    fn cluster(scheme: &str, rest: &str) -> Result<Self, String> {
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (format!("{user}@"), rest),
            None => (String::new(), rest),
        };
        if user.matches('@').count() > 1 {
            return Err("the password is written once, before the first node, with any `@` in it as %40".into());
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (nodes, tail) = rest.split_at(end);
        let tail = tail.strip_prefix('/').unwrap_or(tail);
        if !tail.is_empty() && !tail.starts_with(['?', '#']) {
            return Err("a cluster has no database number".into());
        }
        let urls = nodes
            .split(',')
            .map(|node| {
                let node = node.trim();
                let port = if has_port(node) { String::new() } else { format!(":{PORT}") };
                let url = format!("{scheme}://{user}{node}{port}/{tail}");
                check_server(&url)?;
                Ok(url.into())
            })
            .collect::<Result<Vec<SecretString>, String>>()?;
        Ok(Self::Cluster { urls })
    }

    /// The addresses, one or several.
    pub fn urls(&self) -> &[SecretString] {
        match self {
            Self::Single { url } => std::slice::from_ref(url),
            Self::Cluster { urls } => urls,
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.urls().iter().map(|url| mask::url(url.expose_secret())).collect();
        f.write_str(&shown.join(","))
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Single { .. } => "Single",
            Self::Cluster { .. } => "Cluster",
        };
        write!(f, "{name}({self})")
    }
}

/// Checks the address of one server: a host, and at most a database number for a path.
fn check_server(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err("it names no host".into());
    }
    let database = url.path().trim_start_matches('/');
    if !database.is_empty() && database.parse::<u16>().is_err() {
        return Err("its path is no database number".into());
    }
    Ok(())
}

/// Whether a node names its port. An IPv6 address in brackets is full of colons of its own.
fn has_port(node: &str) -> bool {
    node.rsplit_once(']').map_or(node, |(_, after)| after).contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(text: &str) -> Vec<String> {
        let parsed = RedisUrl::parse(text).unwrap();
        parsed.urls().iter().map(|url| url.expose_secret().to_owned()).collect()
    }

    #[test]
    fn one_server_is_kept_as_it_is_given() {
        for text in [
            "redis://127.0.0.1:6379/",
            "redis://cache",
            "rediss://user:pass@cache:6380/3",
            "redis+unix:///run/redis.sock?db=1",
            "unix:///run/redis.sock",
        ] {
            assert!(matches!(RedisUrl::parse(text), Ok(RedisUrl::Single { .. })), "{text}");
            assert_eq!(urls(text), [text]);
        }
    }

    #[test]
    fn a_cluster_becomes_one_address_for_each_seed() {
        assert_eq!(urls("redis+cluster://a:7000,b:7001/"), ["redis://a:7000/", "redis://b:7001/"],);
        assert_eq!(urls("redis+cluster://a,b"), ["redis://a:6379/", "redis://b:6379/"]);
        assert_eq!(
            urls("rediss+cluster://me:s,ecret@[::1]:7000,[::2]/?protocol=resp3"),
            ["rediss://me:s,ecret@[::1]:7000/?protocol=resp3", "rediss://me:s,ecret@[::2]:6379/?protocol=resp3",],
        );
    }

    #[test]
    fn what_is_no_redis_is_refused() {
        for text in [
            "cache:6379",
            "http://cache",
            "redis://",
            "redis:///0",
            "redis://cache/zero",
            "unix://socket",
            "redis+cluster://",
            "redis+cluster://a,,b/",
            "redis+cluster://a:7000/1",
            "redis+cluster://u:p@a,u:p@b/",
            "redis+cluster://a:99999/",
        ] {
            assert!(RedisUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for text in ["redis://u:hunter2@cache/", "rediss+cluster://u:hunter2@a:1,b:2/"] {
            let parsed = RedisUrl::parse(text).unwrap();
            let shown = format!("{parsed} {parsed:?} {parsed:#?}");
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains("…@"), "{shown}");
        }
    }
}
