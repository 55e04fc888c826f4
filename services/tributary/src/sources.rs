//! The sources this release knows: one line each.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use settings::{Settings, WhatPulseApi};
use source::{Source, Sources};
use source_toggl::Toggl;
use source_whatpulse::{ApiKind, WhatPulse};

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
    let all: [Arc<dyn Source>; 2] = [
        Arc::new(WhatPulse::new(http.clone(), peers.whatpulse_api.url().clone(), whatpulse)),
        Arc::new(Toggl::new(http, peers.toggl_api.url().clone())),
    ];
    Ok(Arc::new(all.into_iter().map(|source| (source.name(), source)).collect()))
}
