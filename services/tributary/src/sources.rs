//! The sources this release knows: one line each.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use settings::{App, BaseUrl, ExposeSecret, Settings, WhatPulseApi};
use source::{
    OAuth, Source, Sources,
    oauth::Encoding::{self, Form, Json},
};
use source_github::Github;
use source_toggl::Toggl;
use source_trakt::Trakt;
use source_whatpulse::{ApiKind, WhatPulse};
use source_ynab::Ynab;

/// How long a source may take to answer one request.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Every source, at the addresses of the settings.
///
/// # Errors
/// The HTTP client cannot be built.
pub(crate) fn sources(settings: &Settings) -> anyhow::Result<Arc<Sources>> {
    let http = source::http::client(ANSWER_WITHIN).context("preparing to talk to sources")?;
    let peers = &settings.peers;
    let whatpulse = match settings.whatpulse_api_kind {
        WhatPulseApi::V1 => ApiKind::V1,
        WhatPulseApi::Legacy => ApiKind::Legacy,
    };
    let oauth =
        |source_name: &'static str, app: &Option<App>, base: &BaseUrl, token: &str, encoding: Encoding, scope| {
            app.as_ref().map(|app| OAuth {
                source_name,
                http: http.clone(),
                authorise: source::http::below(&base.url(), &["authorize"]),
                token: source::http::below(&base.url(), &[token]),
                encoding,
                scope,
                client_id: app.client_id.clone(),
                client_secret: app.client_secret.expose_secret().to_owned(),
                redirect_uri: settings.oauth_callback(source_name),
            })
        };
    let apps = &settings.apps;
    let trakt_id = apps.trakt.as_ref().map_or_else(String::new, |app| app.client_id.clone());
    let trakt = oauth("trakt", &apps.trakt, &peers.trakt_oauth, "token", Json, None);
    let github = oauth("github", &apps.github, &peers.github_oauth, "access_token", Form, Some("repo read:user"));
    let ynab = oauth("ynab", &apps.ynab, &peers.ynab_oauth, "token", Form, Some("read-only"));
    let all: [Arc<dyn Source>; 5] = [
        Arc::new(WhatPulse::new(http.clone(), peers.whatpulse_api.url().clone(), whatpulse)),
        Arc::new(Github::new(http.clone(), peers.github_api.url(), github)),
        Arc::new(Ynab::new(http.clone(), peers.ynab_api.url(), ynab)),
        Arc::new(Trakt::new(http.clone(), peers.trakt_api.url(), trakt_id, trakt)),
        Arc::new(Toggl::new(http.clone(), peers.toggl_api.url())),
    ];
    Ok(Arc::new(all.into_iter().map(|source| (source.name(), source)).collect()))
}
