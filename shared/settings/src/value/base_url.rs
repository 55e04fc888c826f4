//! The base of a peer's API, checked once.

use std::fmt;

use url::{Host, Url};

/// The address under which a peer's API lives, with the path it carries and no slash at its end.
///
/// Encrypted, unless the peer is this machine: tokens are sent to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let url = bare(text)?;
        match url.scheme() {
            "https" => {}
            "http" if is_this_machine(&url) => {}
            "http" => return Err("http is for this machine only".into()),
            _ => return Err("its scheme is neither https nor http".into()),
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The base, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The base as a [`Url`].
    pub fn url(&self) -> Url {
        Url::parse(&self.0).expect("it was parsed once, and only slashes at its end were taken off")
    }

    /// The address of a path under the base; a slash before the path makes no difference.
    pub fn join(&self, path: &str) -> String {
        format!("{}/{}", self.0, path.trim_start_matches('/'))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for BaseUrl {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Reads the base of a collector's address, without a slash at its end: like a peer's, but in the clear wherever it
/// is.
pub(super) fn collector(text: &str) -> Result<String, String> {
    let url = bare(text)?;
    match url.scheme() {
        "http" | "https" => Ok(url.as_str().trim_end_matches('/').to_owned()),
        _ => Err("its scheme is neither https nor http".into()),
    }
}

/// An address and nothing more.
fn bare(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user name or password does not belong in it".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a base has no query and no fragment".into());
    }
    Ok(url)
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{BaseUrl, collector};

    #[test]
    fn a_slash_at_the_end_makes_no_difference() {
        for text in ["https://exist.io/api/2", "https://exist.io/api/2/", "https://exist.io/api/2//"] {
            let base = BaseUrl::parse(text).unwrap();
            assert_eq!(base.as_str(), "https://exist.io/api/2");
            assert_eq!(base.join("/values/"), "https://exist.io/api/2/values/");
            assert_eq!(base.join("values/"), "https://exist.io/api/2/values/");
        }
        assert_eq!(BaseUrl::parse("http://127.0.0.1:8080/").unwrap().join("v9"), "http://127.0.0.1:8080/v9");
    }

    #[test]
    fn this_machine_may_be_spoken_to_in_the_clear() {
        for text in ["http://127.0.0.1:1/api", "http://127.9.9.9", "http://[::1]:8080", "http://localhost:3/"] {
            assert!(BaseUrl::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_collector_may_be_spoken_to_in_the_clear_and_has_no_secret_in_its_address() {
        assert_eq!(collector("http://collector.monitoring:4318/").unwrap(), "http://collector.monitoring:4318");
        for text in ["http://u:hunter2@collector:4318", "http://collector?key=hunter2", "grpc://collector:4317", "on"] {
            assert!(collector(text).is_err_and(|why| !why.contains("hunter2")), "{text}");
        }
    }

    #[test]
    fn nobody_else_may() {
        for text in [
            "http://exist.io/api/2",
            "http://128.0.0.1",
            "http://0.0.0.0:80",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://[::2]/",
            "http://[::ffff:8.8.8.8]/",
        ] {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_base_is_an_address_and_nothing_more() {
        for text in [
            "exist.io",
            "ftp://exist.io",
            "https://u:p@exist.io",
            "https://exist.io/?a=b",
            "https://exist.io/#a",
            "https://",
        ] {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }
}
