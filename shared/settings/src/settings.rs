//! The settings of a process, read, checked and typed.

mod build;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;

use crate::document::Shown;
use crate::error::SettingsErrors;
use crate::layers::Layers;
use crate::seal::Sealer;
use crate::value::{BaseUrl, Budget, LockMode, RedisUrl, WhatPulseApi};

/// The variable that names the configuration file, where no flag does.
const CONFIG: &str = "TRIBUTARY_CONFIG";

/// How often a source we know nothing about is polled.
const POLL_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Every setting, checked. What each means and its bounds: [`crate::settings_env`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where Redis is.
    pub redis_url: RedisUrl,
    /// How many partitions users are spread over, 1 to 1024; must equal the number stored in Redis.
    pub partitions: u16,
    /// What serialises work on one external id.
    pub lock_mode: LockMode,
    /// How long records, transactions and dead letters are kept after their last use.
    pub retention: Duration,
    /// How many days before the first connection are read, 0 to 365.
    pub backfill_days: u32,
    /// Whom we call.
    pub peers: PeerUrls,
    /// Which of WhatPulse's APIs its address speaks.
    pub whatpulse_api_kind: WhatPulseApi,
    /// Our applications at the peers that know OAuth.
    pub apps: Apps,
    /// Seals people's tokens; `None` while no key is set.
    pub encryption_key: Option<Sealer>,
    /// How often each source is polled.
    pub poll_intervals: PollIntervals,
    /// How long a changed day waits for company before it is sent.
    pub flush_after: Duration,
    /// How many requests Exist sees for one token.
    pub exist_budget: Budget,
    /// How long one request to Exist may take, 1 to 5 s.
    pub exist_call_timeout: Duration,
    /// How long to wait after a write with an unknown outcome.
    pub exist_settle: Duration,
    /// How long after a value was written, and after its day is over, it is read back.
    pub reconcile_after: Duration,
    /// How often a user's Exist profile is read again.
    pub profile_refresh: Duration,
    /// Where health and metrics are served, if they are.
    pub admin_addr: Option<SocketAddr>,
    /// Where webhooks are taken, if they are.
    pub webhook_addr: Option<SocketAddr>,
    /// Where the internet reaches it, if that differs.
    pub public_url: Option<BaseUrl>,
    /// Where the console is served, if it is.
    pub console_addr: Option<SocketAddr>,
    /// What operators show to the console's API; without it the API answers nobody.
    pub console_token: Option<SecretString>,
    /// Where traces are sent, if a setting of ours says so.
    pub otlp_endpoint: Option<String>,
    /// One in so many polls and webhooks is traced, from 1.
    pub trace_one_in: u32,
    /// What was read and from where, as it may be shown.
    shown: Vec<Shown>,
}

/// The bases of the APIs we call.
#[derive(Debug, Clone)]
pub struct PeerUrls {
    /// Exist's API.
    pub exist_api: BaseUrl,
    /// Exist's OAuth.
    pub exist_oauth: BaseUrl,
    /// WhatPulse's API.
    pub whatpulse_api: BaseUrl,
    /// Trakt's API.
    pub trakt_api: BaseUrl,
    /// Trakt's OAuth.
    pub trakt_oauth: BaseUrl,
    /// Toggl Track's API.
    pub toggl_api: BaseUrl,
    /// YNAB's API.
    pub ynab_api: BaseUrl,
    /// YNAB's OAuth.
    pub ynab_oauth: BaseUrl,
    /// GitHub's REST API.
    pub github_api: BaseUrl,
    /// GitHub's OAuth.
    pub github_oauth: BaseUrl,
}

impl PeerUrls {
    /// The base of the API of a source, or of `exist`; `None` for a name we do not know.
    pub fn base(&self, source: &str) -> Option<&BaseUrl> {
        Some(match source {
            "exist" => &self.exist_api,
            "whatpulse" => &self.whatpulse_api,
            "trakt" => &self.trakt_api,
            "toggl" => &self.toggl_api,
            "ynab" => &self.ynab_api,
            "github" => &self.github_api,
            _ => return None,
        })
    }
}

/// Our application at one peer.
#[derive(Debug, Clone)]
pub struct App {
    /// Its public id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
}

/// Our applications; `None` where none is set.
#[derive(Debug, Clone)]
pub struct Apps {
    /// At Exist.
    pub exist: Option<App>,
    /// At Trakt.
    pub trakt: Option<App>,
    /// At YNAB.
    pub ynab: Option<App>,
    /// At GitHub.
    pub github: Option<App>,
}

/// Stands for the address that peers send people back to while none is set.
const CALLBACK_UNSET: &str = "127.0.0.1:8080";

/// How often each source is polled, 1 s to 1 d: its own setting, else the general one, else its default.
#[derive(Debug, Clone)]
pub struct PollIntervals {
    /// The general interval, where it is set.
    pub general: Option<Duration>,
    /// WhatPulse's.
    pub whatpulse: Duration,
    /// Trakt's.
    pub trakt: Duration,
    /// Toggl Track's.
    pub toggl: Duration,
    /// YNAB's.
    pub ynab: Duration,
    /// GitHub's.
    pub github: Duration,
}

impl Settings {
    /// Reads and checks every setting: flag over variable over file over default.
    ///
    /// `env` is usually [`environment`]; names without our prefix are ignored. A flag is named as the
    /// setting's key, with `-` or `_` between its words. `file` is the configuration file; without
    /// it, `TRIBUTARY_CONFIG` in `env` may name one. Reads no global state: only that file, and the
    /// files that `…_FILE` settings name.
    ///
    /// # Errors
    /// [`SettingsErrors`] with everything that is wrong; the process should print it and exit with 2.
    pub fn load(
        env: impl IntoIterator<Item = (String, String)>,
        flags: &[(String, String)],
        file: Option<&Path>,
    ) -> Result<Self, SettingsErrors> {
        let env: Vec<(String, String)> = env.into_iter().collect();
        let named = env.iter().find(|(name, _)| name == CONFIG).map(|(_, path)| Path::new(path));
        let mut layers = Layers::default();
        if let Some(path) = file.or(named) {
            layers.file(path);
        }
        layers.variables(env.iter().cloned());
        layers.flags(flags);
        let (given, errors) = layers.finish();
        build::build(&given, errors)
    }

    /// How often a source is polled.
    pub fn poll_interval(&self, source: &str) -> Duration {
        let intervals = &self.poll_intervals;
        match source {
            "whatpulse" => intervals.whatpulse,
            "trakt" => intervals.trakt,
            "toggl" => intervals.toggl,
            "ynab" => intervals.ynab,
            "github" => intervals.github,
            _ => intervals.general.unwrap_or(POLL_INTERVAL),
        }
    }

    /// Where a peer sends people back to after they consented: an address of the fetcher's.
    pub fn oauth_callback(&self, peer: &str) -> String {
        let path = format!("oauth/{peer}/callback");
        match (&self.public_url, self.webhook_addr) {
            (Some(base), _) => base.join(&path),
            (None, Some(address)) => format!("http://{address}/{path}"),
            (None, None) => format!("http://{CALLBACK_UNSET}/{path}"),
        }
    }

    /// Every setting as it was read, one `NAME=value  # origin` a line; secrets are shown as `…`.
    ///
    /// Shows what was loaded; a field that was changed since is not shown.
    pub fn print(&self) -> String {
        crate::document::print(&self.shown)
    }
}

impl Default for Settings {
    /// Every setting at its default.
    fn default() -> Self {
        Self::load([], &[], None).expect("a test loads every default")
    }
}

/// The process's environment, for [`Settings::load`].
///
/// What is no Unicode is replaced and not dropped, so that the check reports it.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into(), value.to_string_lossy().into()))
}
