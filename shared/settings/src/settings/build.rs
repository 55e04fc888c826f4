//! From the winning texts to the typed settings.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::{App, Apps, PeerUrls, PollIntervals, Settings};
use crate::document::Shown;
use crate::error::{SettingsError, SettingsErrors};
use crate::layers::{Given, Origin};
use crate::list::{self, Setting};
use crate::value::{BaseUrl, LockMode, Value, WhatPulseApi};

/// Where WhatPulse's older API lives, while no address is set.
const WHATPULSE_LEGACY: &str = "https://api.whatpulse.org";

/// Checks every text against its setting, then makes the settings if nothing was wrong.
pub(super) fn build(
    given: &BTreeMap<&'static str, Given>,
    mut errors: Vec<SettingsError>,
) -> Result<Settings, SettingsErrors> {
    let mut values = Values::default();
    for setting in list::all() {
        let (text, origin) = effective(setting, given);
        let shown = text.map(|text| setting.kind.show(text));
        if let Some(text) = text {
            match setting.kind.parse(text) {
                Ok(value) => values.insert(setting.name, value),
                // A setting that took a bad value over from another: the other is reported.
                Err(_) if matches!(origin, Origin::Setting(_)) => {}
                Err(why) => errors.push(SettingsError::Value {
                    name: setting.name,
                    shown: setting.kind.show(text),
                    origin: origin.clone(),
                    why,
                    accepted: setting.kind.accepts(),
                }),
            }
        }
        values.shown.push(Shown { name: setting.name, value: shown, origin });
    }
    pairs(given, &mut errors);
    if errors.is_empty() { Ok(values.settings()) } else { Err(SettingsErrors(errors)) }
}

/// The text a setting gets, and where that comes from.
fn effective<'a>(setting: &'static Setting, given: &'a BTreeMap<&'static str, Given>) -> (Option<&'a str>, Origin) {
    if let Some(given) = given.get(setting.name) {
        return (Some(given.text.expose_secret()), given.origin.clone());
    }
    if let Some((other, given)) = setting.falls_back_to.and_then(|other| Some((other, given.get(other)?))) {
        return (Some(given.text.expose_secret()), Origin::Setting(other));
    }
    let api = given.get("TRIBUTARY_WHATPULSE_API").map(|given| given.text.expose_secret());
    if setting.name == "TRIBUTARY_WHATPULSE_API_URL" && api == Some("legacy") {
        return (Some(WHATPULSE_LEGACY), Origin::Setting("TRIBUTARY_WHATPULSE_API"));
    }
    (setting.default, Origin::Default)
}

/// An application's id without its secret, or the other way round, is a slip and not a choice.
fn pairs(given: &BTreeMap<&'static str, Given>, errors: &mut Vec<SettingsError>) {
    for [id, secret] in APPS {
        match (given.contains_key(id), given.contains_key(secret)) {
            (true, false) => errors.push(SettingsError::Alone { given: id, missing: secret }),
            (false, true) => errors.push(SettingsError::Alone { given: secret, missing: id }),
            _ => {}
        }
    }
}

const EXIST_APP: [&str; 2] = ["TRIBUTARY_EXIST_CLIENT_ID", "TRIBUTARY_EXIST_CLIENT_SECRET"];
const TRAKT_APP: [&str; 2] = ["TRIBUTARY_TRAKT_CLIENT_ID", "TRIBUTARY_TRAKT_CLIENT_SECRET"];
const YNAB_APP: [&str; 2] = ["TRIBUTARY_YNAB_CLIENT_ID", "TRIBUTARY_YNAB_CLIENT_SECRET"];
const GITHUB_APP: [&str; 2] = ["TRIBUTARY_GITHUB_CLIENT_ID", "TRIBUTARY_GITHUB_CLIENT_SECRET"];
const APPS: [[&str; 2]; 4] = [EXIST_APP, TRAKT_APP, YNAB_APP, GITHUB_APP];

/// What [`take`] expects: the list gives the setting this kind, and a default where it needs one.
const AS_LISTED: &str = "the list gives this setting this kind and a default";

/// The checked values by name, each taken once.
#[derive(Default)]
struct Values {
    values: BTreeMap<&'static str, Value>,
    shown: Vec<Shown>,
}

/// Takes the value of a setting out, as the variant its kind makes.
macro_rules! take {
    ($values:ident, $variant:ident, $name:expr) => {
        match $values.values.remove($name) {
            Some(Value::$variant(value)) => Some(value),
            _ => None,
        }
    };
}

impl Values {
    fn insert(&mut self, name: &'static str, value: Value) {
        self.values.insert(name, value);
    }

    fn settings(mut self) -> Settings {
        let values = &mut self;
        Settings {
            redis_url: take!(values, Redis, "TRIBUTARY_REDIS_URL").expect(AS_LISTED),
            partitions: u16::try_from(values.count("TRIBUTARY_PARTITIONS")).expect("the list bounds it by 1024"),
            lock_mode: match take!(values, Choice, "TRIBUTARY_LOCK_MODE") {
                Some("key") => LockMode::Key,
                _ => LockMode::Partition,
            },
            retention: values.duration("TRIBUTARY_RETENTION"),
            backfill_days: values.count("TRIBUTARY_BACKFILL_DAYS"),
            peers: PeerUrls {
                exist_api: values.base("TRIBUTARY_EXIST_API_URL"),
                exist_oauth: values.base("TRIBUTARY_EXIST_OAUTH_URL"),
                whatpulse_api: values.base("TRIBUTARY_WHATPULSE_API_URL"),
                trakt_api: values.base("TRIBUTARY_TRAKT_API_URL"),
                trakt_oauth: values.base("TRIBUTARY_TRAKT_OAUTH_URL"),
                toggl_api: values.base("TRIBUTARY_TOGGL_API_URL"),
                ynab_api: values.base("TRIBUTARY_YNAB_API_URL"),
                ynab_oauth: values.base("TRIBUTARY_YNAB_OAUTH_URL"),
                github_api: values.base("TRIBUTARY_GITHUB_API_URL"),
                github_oauth: values.base("TRIBUTARY_GITHUB_OAUTH_URL"),
            },
            whatpulse_api_kind: match take!(values, Choice, "TRIBUTARY_WHATPULSE_API") {
                Some("legacy") => WhatPulseApi::Legacy,
                _ => WhatPulseApi::V1,
            },
            apps: Apps {
                exist: values.app(EXIST_APP),
                trakt: values.app(TRAKT_APP),
                ynab: values.app(YNAB_APP),
                github: values.app(GITHUB_APP),
            },
            encryption_key: take!(values, Keys, "TRIBUTARY_ENCRYPTION_KEY"),
            poll_intervals: PollIntervals {
                general: take!(values, Duration, "TRIBUTARY_POLL_INTERVAL"),
                whatpulse: values.duration("TRIBUTARY_WHATPULSE_POLL_INTERVAL"),
                trakt: values.duration("TRIBUTARY_TRAKT_POLL_INTERVAL"),
                toggl: values.duration("TRIBUTARY_TOGGL_POLL_INTERVAL"),
                ynab: values.duration("TRIBUTARY_YNAB_POLL_INTERVAL"),
                github: values.duration("TRIBUTARY_GITHUB_POLL_INTERVAL"),
            },
            flush_after: values.duration("TRIBUTARY_FLUSH_AFTER"),
            exist_budget: take!(values, Budget, "TRIBUTARY_EXIST_BUDGET").expect(AS_LISTED),
            exist_call_timeout: values.duration("TRIBUTARY_EXIST_CALL_TIMEOUT"),
            exist_settle: values.duration("TRIBUTARY_EXIST_SETTLE"),
            reconcile_after: values.duration("TRIBUTARY_RECONCILE_AFTER"),
            profile_refresh: values.duration("TRIBUTARY_PROFILE_REFRESH"),
            admin_addr: values.address("TRIBUTARY_ADMIN_ADDR"),
            webhook_addr: values.address("TRIBUTARY_WEBHOOK_ADDR"),
            public_url: take!(values, Base, "TRIBUTARY_PUBLIC_URL"),
            console_addr: values.address("TRIBUTARY_CONSOLE_ADDR"),
            console_token: take!(values, Secret, "TRIBUTARY_CONSOLE_TOKEN"),
            otlp_endpoint: take!(values, Text, "TRIBUTARY_OTLP_ENDPOINT"),
            trace_one_in: values.count("TRIBUTARY_TRACE_ONE_IN"),
            shown: std::mem::take(&mut values.shown),
        }
    }

    fn duration(&mut self, name: &str) -> Duration {
        take!(self, Duration, name).expect(AS_LISTED)
    }

    fn count(&mut self, name: &str) -> u32 {
        take!(self, Count, name).expect(AS_LISTED)
    }

    fn base(&mut self, name: &str) -> BaseUrl {
        take!(self, Base, name).expect(AS_LISTED)
    }

    fn address(&mut self, name: &str) -> Option<SocketAddr> {
        take!(self, Address, name)
    }

    fn app(&mut self, [id, secret]: [&str; 2]) -> Option<App> {
        let client_id = take!(self, Text, id)?;
        let client_secret = take!(self, Secret, secret)?;
        Some(App { client_id, client_secret })
    }
}
