//! The source: one read of one window, through either API.

use std::{sync::Arc, time::Duration};

use event::SourceName;
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use source::{Account, CredentialsError, Cursor, MappingError, Page, Read, RulesByAttribute, Source, SourceError};

use crate::{
    cursor::State,
    legacy::{self, CACHED},
    mapping::Mapping,
    pulse::Pulse,
    v1,
};

/// The source's name.
pub(crate) const NAME: &str = "whatpulse";

/// Longest user name or id that is taken, in bytes.
const USER_ID_BYTES_MAX: usize = 128;

/// Which of the two web APIs is asked. An account must stay with the one it began with: the two name
/// pulses differently, so each would count the other's again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiKind {
    /// `https://whatpulse.org/api/v1`: a user's key, pages of pulses, hundredths of a megabyte.
    V1,
    /// `https://api.whatpulse.org`: no key, public profiles only, cached for an hour by the server.
    Legacy,
}

impl ApiKind {
    /// Most days of one window.
    pub(crate) const fn window_days(self) -> i32 {
        match self {
            Self::V1 => 31,
            // Other clients found that about a day's worth comes back at once.
            Self::Legacy => 1,
        }
    }

    /// How many days before the last read are read again, to find pulses that vanished.
    pub(crate) const fn days_again(self) -> i32 {
        match self {
            Self::V1 => 2,
            // A request a day, and the server wants few of them.
            Self::Legacy => 1,
        }
    }
}

/// What one window brought.
pub(crate) enum Fetched {
    /// Its rows.
    Pulses {
        /// Each id once.
        pulses: Vec<Pulse>,
        /// No row of the window is missing.
        complete: bool,
        /// The limit is used up for so long.
        not_before: Option<Duration>,
    },
    /// More pages than are read at once.
    TooMuch,
}

/// WhatPulse: keys, clicks, megabytes and uptime, as the pulses of a person's computers tell them.
#[derive(Debug, Clone)]
pub struct WhatPulse {
    http: Client,
    api: Url,
    kind: ApiKind,
}

impl WhatPulse {
    /// A source below this base address; its path is kept, a trailing slash makes no difference.
    ///
    /// `http` should come from [`source::http::client`], which follows no redirect.
    #[must_use]
    pub fn new(http: Client, api: Url, kind: ApiKind) -> Self {
        Self { http, api, kind }
    }
}

#[async_trait::async_trait]
impl Source for WhatPulse {
    fn name(&self) -> SourceName {
        SourceName::try_new(NAME).expect("a name of lower-case letters")
    }

    fn check_credentials(&self, credentials: &Value) -> Result<(), CredentialsError> {
        let mut problems = Vec::new();
        if !credentials.is_object() {
            problems.push("must be an object".to_owned());
        }
        if self.kind == ApiKind::V1 && credentials.get("api_key").and_then(Value::as_str).is_none_or(|key| !is_key(key))
        {
            problems.push("api_key must be the text of a key".to_owned());
        }
        let is_user_id = match credentials.get("user_id") {
            Some(Value::Number(number)) => number.as_u64().is_some(),
            Some(Value::String(text)) => is_user_id(text),
            _ => false,
        };
        if !is_user_id {
            problems.push("user_id must be the number or the name of a user".to_owned());
        }
        if problems.is_empty() { Ok(()) } else { Err(CredentialsError { problems }) }
    }

    fn compile(&self, rules: &RulesByAttribute) -> Result<Arc<dyn source::Mapping>, Vec<MappingError>> {
        Ok(Arc::new(Mapping::try_new(rules)?))
    }

    /// Reads one window: the last days, or a part of the back-fill.
    ///
    /// v1 windows have up to 31 days and several requests, legacy ones a day and one request. Pulses
    /// carry no modification time, so the window is compared with what was passed on before.
    async fn read(&self, account: &Account, cursor: &Cursor, read: &Read) -> Result<Page, SourceError> {
        let mut state = cursor.state().unwrap_or_else(|| State::fresh(self.kind));
        if state.api != self.kind {
            let detail = format!("the connection was read through {:?}, now {:?} is set", state.api, self.kind);
            return Err(SourceError::Refused { source_name: NAME, detail });
        }
        let window = state.window(read);
        let fetched = match self.kind {
            ApiKind::V1 => v1::fetch(&self.http, &self.api, account, &window, read).await?,
            ApiKind::Legacy => legacy::fetch(&self.http, &self.api, account, &window, read).await?,
        };
        let Fetched::Pulses { pulses, complete, not_before } = fetched else {
            if !state.halve() {
                let detail = format!("too many pages for one day, {}", window.first_day());
                return Err(SourceError::Nonsense { source_name: NAME, detail });
            }
            let (cursor, back_fill) = (Cursor::of(&state), window.back_fill);
            return Ok(Page { rows: Vec::new(), cursor, more: true, back_fill, not_before: None });
        };
        let (rows, more) = state.take(&window, pulses, complete);
        let cached = (self.kind == ApiKind::Legacy && !more).then_some(CACHED);
        let not_before = not_before.max(cached);
        Ok(Page { rows, cursor: Cursor::of(&state), more, back_fill: window.back_fill, not_before })
    }
}

/// A key can stand in a header: visible ASCII.
fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A user's name or number can stand in a path: `.` and `..` would vanish from it.
fn is_user_id(text: &str) -> bool {
    let bounded = !text.trim().is_empty() && text.len() <= USER_ID_BYTES_MAX;
    bounded && !text.chars().any(char::is_control) && text.chars().any(|character| character != '.')
}
