//! How the simulator behaves where Exist's documentation leaves a choice, and who its users are.

use std::time::Duration;

use serde::Serialize;

use super::catalogue;

/// An access token's documented life: a year less a second.
pub const TOKEN_LIFE: Duration = Duration::from_secs(31_535_999);
/// A code's life. Undocumented; the default of the package Exist appears to use.
pub const CODE_LIFE: Duration = Duration::from_secs(600);

/// A client or built-in service, as Exist names owners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    /// The name Exist assigned; not computable from the label.
    pub name: String,
    /// The name people see.
    pub label: String,
}

impl Service {
    /// A service whose label is its name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), label: name.to_owned() }
    }
}

/// How many requests a token may make in any window of this length.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// Requests let through; the next is answered 429.
    pub requests: usize,
    /// The sliding window.
    pub window: Duration,
}

/// What [`ExistSim`](super::ExistSim) is started with; the default is Exist as far as it is known.
#[derive(Clone)]
pub struct ExistConfig {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The one registered client's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Its registered redirect URI; `None` takes any.
    pub redirect_uri: Option<String>,
    /// What it is called as an owner of attributes.
    pub service: Service,
    /// 300 in 60 minutes.
    pub rate: RateLimit,
    /// Whether a 429 says how long to wait. Exist documents no such header.
    pub retry_after: bool,
    /// Whether a 429 has Django REST framework's body instead of none.
    pub throttle_detail: bool,
    /// The most items in one write request: 35; Exist is rumoured to take 36.
    pub batch_max: usize,
    /// Whether `attributes/` obeys its `attributes` filter. Recorded: it does not.
    pub name_filter: bool,
    /// Whether days without a row are listed as null, as documented; recorded: they are left out.
    pub every_day: bool,
    /// Whether integers and decimals can be incremented by less than nothing. Durations never can.
    pub negative_increments: bool,
    /// Decides tokens, chances and shuffles.
    pub seed: u64,
}

impl Default for ExistConfig {
    fn default() -> Self {
        Self {
            port: 0,
            client_id: "sim-client".to_owned(),
            client_secret: "sim-secret".to_owned(),
            redirect_uri: None,
            service: Service { name: "tributary1234".to_owned(), label: "Tributary".to_owned() },
            rate: RateLimit { requests: 300, window: Duration::from_secs(3600) },
            retry_after: false,
            throttle_detail: false,
            batch_max: 35,
            name_filter: false,
            every_day: false,
            negative_increments: false,
            seed: 1,
        }
    }
}

/// A user with a connection to the registered client.
#[derive(Clone)]
pub struct UserSpec {
    /// The only key a user has.
    pub username: String,
    /// An IANA name.
    pub timezone: String,
    /// A bearer token for the API.
    pub access_token: String,
    /// Good for one refresh.
    pub refresh_token: String,
    /// `<group>_read`, `<group>_write`.
    pub scopes: Vec<String>,
    /// How long the access token lives from now.
    pub expires_in: Duration,
}

impl UserSpec {
    /// A user in UTC with every scope and the tokens `<username>-access` and `<username>-refresh`, good for a year.
    #[must_use]
    pub fn named(username: &str) -> Self {
        Self {
            username: username.to_owned(),
            timezone: "UTC".to_owned(),
            access_token: format!("{username}-access"),
            refresh_token: format!("{username}-refresh"),
            scopes: catalogue::all_scopes(),
            expires_in: TOKEN_LIFE,
        }
    }

    /// The same user elsewhere.
    #[must_use]
    pub fn living_in(mut self, timezone: &str) -> Self {
        timezone.clone_into(&mut self.timezone);
        self
    }

    /// The same user with these scopes only, separated by spaces.
    #[must_use]
    pub fn allowing(mut self, scopes: &str) -> Self {
        self.scopes = scopes.split_whitespace().map(str::to_owned).collect();
        self
    }
}
