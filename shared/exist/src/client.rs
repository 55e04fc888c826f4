//! The calls: each is one request, answered or told what may have become of it.

mod fence; // a body that asks before it leaves
mod read; // the calls that read
mod reply; // a status and what may be believed of the body
mod send; // one request out, one reply in
mod token; // the calls to the token endpoint
mod write; // the calls that write

use reqwest::Url;
use secrecy::SecretString;

pub use read::AttributeFilter;
pub use reply::RESPONSE_MAX;

/// Speaks to Exist for any number of users; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    api: Url,
    oauth: Url,
    app: Option<AppCredentials>,
}

/// What Exist knows our application by. Needed for tokens, not for reading and writing.
#[derive(Debug, Clone)]
pub struct AppCredentials {
    /// Public.
    pub client_id: String,
    /// Not public.
    pub client_secret: SecretString,
}

impl Client {
    /// A client for an API and an OAuth base address, such as `https://exist.io/api/2` and
    /// `https://exist.io/oauth2`.
    ///
    /// A base is used with the path it carries; a trailing slash makes no difference. `http` should
    /// come from [`http_client`](crate::http_client): one that follows redirects, retries or speaks
    /// HTTP/2 weakens what the errors and the fence promise.
    #[must_use]
    pub const fn new(http: reqwest::Client, api: Url, oauth: Url, app: Option<AppCredentials>) -> Self {
        Self { http, api, oauth, app }
    }

    /// An address of the API; these end in a slash, without which Exist cannot take a POST.
    fn api(&self, path: &str) -> Url {
        under(&self.api, &format!("{path}/"))
    }

    /// An address of the OAuth part; these do not end in a slash.
    fn oauth(&self, path: &str) -> Url {
        under(&self.oauth, path)
    }
}

fn under(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url.set_query(None);
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_slash_of_a_base_makes_no_difference() {
        for base in ["http://h:1/x%20y/api/2", "http://h:1/x%20y/api/2/", "http://h:1/x%20y/api/2//"] {
            let url = under(&base.parse().unwrap(), "attributes/update/");
            assert_eq!(url.as_str(), "http://h:1/x%20y/api/2/attributes/update/");
        }
        assert_eq!(under(&"http://h".parse().unwrap(), "authorize").as_str(), "http://h/authorize");
    }
}
