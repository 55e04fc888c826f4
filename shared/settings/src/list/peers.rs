//! Whom we call, and the secrets we call them with.

use super::{Setting, setting};
use crate::value::Kind;

const WRONG_BASE: &str = "A wrong address shows as failing requests to this peer; \
    tokens are sent to it, so it is https unless it is this machine.";
const NO_APP: &str = "Without it nobody can connect through this peer's OAuth and expiring tokens are not \
    refreshed; tokens that were imported work until they expire.";

const fn base(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    setting(name, Kind::BaseUrl, Some(default), doc, WRONG_BASE)
}

pub(super) const PEERS: &[Setting] = &[
    base("TRIBUTARY_EXIST_API_URL", "https://exist.io/api/2", "Base of Exist's API."),
    base(
        "TRIBUTARY_EXIST_OAUTH_URL",
        "https://exist.io/oauth2",
        "Base of Exist's OAuth; `/authorize` and `/access_token` are under it.",
    ),
    base(
        "TRIBUTARY_WHATPULSE_API_URL",
        "https://whatpulse.org/api/v1",
        "Base of WhatPulse's API. While it is not set and TRIBUTARY_WHATPULSE_API is `legacy`: https://api.whatpulse.org.",
    ),
    setting(
        "TRIBUTARY_WHATPULSE_API",
        Kind::Choice(&["v1", "legacy"]),
        Some("v1"),
        "Which of WhatPulse's two APIs the address above speaks.",
        "`v1` needs each user's API key; `legacy` needs none, but answers from a cache that is an hour old.",
    ),
    base("TRIBUTARY_TRAKT_API_URL", "https://api.trakt.tv", "Base of Trakt's API."),
    base(
        "TRIBUTARY_TRAKT_OAUTH_URL",
        "https://auth.trakt.tv/oauth",
        "Base of Trakt's OAuth; `/authorize` and `/token` are under it.",
    ),
    base("TRIBUTARY_TOGGL_API_URL", "https://api.track.toggl.com/api/v9", "Base of Toggl Track's API."),
    base("TRIBUTARY_YNAB_API_URL", "https://api.ynab.com/v1", "Base of YNAB's API."),
    base(
        "TRIBUTARY_YNAB_OAUTH_URL",
        "https://app.ynab.com/oauth",
        "Base of YNAB's OAuth; `/authorize` and `/token` are under it.",
    ),
    base("TRIBUTARY_GITHUB_API_URL", "https://api.github.com", "Base of GitHub's REST API."),
    base(
        "TRIBUTARY_GITHUB_OAUTH_URL",
        "https://github.com/login/oauth",
        "Base of GitHub's OAuth; `/authorize` and `/access_token` are under it.",
    ),
];

const fn client_id(name: &'static str, doc: &'static str) -> Setting {
    setting(name, Kind::Text, None, doc, NO_APP)
}

const fn client_secret(name: &'static str, doc: &'static str) -> Setting {
    setting(name, Kind::Secret, None, doc, NO_APP)
}

pub(super) const SECRETS: &[Setting] = &[
    client_id("TRIBUTARY_EXIST_CLIENT_ID", "Our application's id at Exist."),
    client_secret("TRIBUTARY_EXIST_CLIENT_SECRET", "Our application's secret at Exist."),
    client_id("TRIBUTARY_TRAKT_CLIENT_ID", "Our application's id at Trakt."),
    client_secret("TRIBUTARY_TRAKT_CLIENT_SECRET", "Our application's secret at Trakt."),
    client_id("TRIBUTARY_YNAB_CLIENT_ID", "Our application's id at YNAB."),
    client_secret("TRIBUTARY_YNAB_CLIENT_SECRET", "Our application's secret at YNAB."),
    client_id("TRIBUTARY_GITHUB_CLIENT_ID", "Our application's id at GitHub."),
    client_secret("TRIBUTARY_GITHUB_CLIENT_SECRET", "Our application's secret at GitHub."),
    setting(
        "TRIBUTARY_ENCRYPTION_KEY",
        Kind::Keys,
        None,
        "What people's tokens are sealed with in Redis. The first key seals, all of them open: to change keys, \
         put the new one in front and keep the old one until everything was sealed again.",
        "Every process needs the same keys. A lost key cannot be replaced: everybody has to connect again.",
    ),
];
