//! The peers, the people and the processes of a demo.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    exist::{ExistConfig, ExistSim, TOKEN_LIFE, UserSpec},
    fleet::{Fleet, FleetBuilder},
    github::GithubSim,
    judge::{Numbers, Records, Verdict, beside, expected, verdict},
    toggl::{TogglConfig, TogglSim},
    trakt::{TraktConfig, TraktSim},
    whatpulse::{WhatPulseConfig, WhatPulseSim},
    world::{ExistTokens, Mode, Pastimes, Person, Player, World, import_file},
    ynab::YnabSim,
};

/// Polls every second would spend any real quota; this one the demo cannot.
const GENEROUS: u32 = 1_000_000;

/// Simulated peers, and the people who use them. Services play on it: see [`Stage::fleet`].
pub struct Stage {
    /// Who does what.
    pub world: World,
    /// The destination.
    pub exist: ExistSim,
    /// A source.
    pub whatpulse: WhatPulseSim,
    /// A source.
    pub toggl: TogglSim,
    /// Trakt, YNAB and GitHub.
    pub pastimes: Pastimes,
    tokens: ExistTokens,
}

impl Stage {
    /// Starts the peers and gives everybody an account; nobody has done anything yet.
    ///
    /// # Errors
    /// When a simulator cannot be started.
    pub async fn set(seed: u64, exist: ExistConfig) -> Result<Stage> {
        let now = Timestamp::now();
        let world = World::scripted(seed, now);
        let exist = ExistSim::start(exist).await.context("starting the simulated Exist")?;
        let whatpulse = WhatPulseConfig { requests_per_hour: GENEROUS, ..WhatPulseConfig::default() };
        let toggl =
            TogglConfig { me_quota: GENEROUS, workspace_quota: GENEROUS, burst: None, ..TogglConfig::default() };
        for person in &world.people {
            exist.add_user(UserSpec {
                access_token: person.exist_access_token.clone(),
                refresh_token: person.exist_refresh_token.clone(),
                ..UserSpec::named(&person.name).living_in(&person.timezone)
            });
        }
        Ok(Stage {
            exist,
            whatpulse: WhatPulseSim::start(whatpulse).await.context("starting the simulated WhatPulse")?,
            toggl: TogglSim::start(toggl).await.context("starting the simulated Toggl Track")?,
            pastimes: Pastimes {
                trakt: TraktSim::start(TraktConfig::default()).await.context("starting the simulated Trakt")?,
                ynab: YnabSim::start().await.context("starting the simulated YNAB")?,
                github: GithubSim::start().await.context("starting the simulated GitHub")?,
            },
            tokens: ExistTokens { expires_in: TOKEN_LIFE.as_secs(), created_at: now },
            world,
        })
    }

    /// The same stage with all of everybody's attributes sent this way.
    #[must_use]
    pub fn in_mode(mut self, mode: Mode) -> Stage {
        for mapping in self.world.people.iter_mut().flat_map(|person| &mut person.mappings) {
            mapping.mode = mode;
        }
        self
    }

    /// Processes pointed at the simulators and hurried along, one of each service unless told otherwise.
    pub fn fleet(&self) -> FleetBuilder {
        let exist = ExistConfig::default();
        Fleet::builder()
            .setting("TRIBUTARY_EXIST_API_URL", self.exist.base_url())
            .setting("TRIBUTARY_EXIST_OAUTH_URL", self.exist.oauth_url())
            .setting("TRIBUTARY_EXIST_CLIENT_ID", exist.client_id)
            .setting("TRIBUTARY_EXIST_CLIENT_SECRET", exist.client_secret)
            .setting("TRIBUTARY_WHATPULSE_API_URL", self.whatpulse.api_url())
            .setting("TRIBUTARY_TOGGL_API_URL", self.toggl.api_url())
            .setting("TRIBUTARY_TRAKT_API_URL", self.pastimes.trakt.api_url())
            .setting("TRIBUTARY_TRAKT_OAUTH_URL", self.pastimes.trakt.oauth_url())
            .setting("TRIBUTARY_TRAKT_CLIENT_ID", "trakt-application")
            .setting("TRIBUTARY_TRAKT_CLIENT_SECRET", "trakt-application-secret")
            .setting("TRIBUTARY_YNAB_API_URL", self.pastimes.ynab.api_url())
            .setting("TRIBUTARY_YNAB_OAUTH_URL", self.pastimes.ynab.oauth_url())
            .setting("TRIBUTARY_YNAB_CLIENT_ID", "ynab-application")
            .setting("TRIBUTARY_YNAB_CLIENT_SECRET", "ynab-application-secret")
            .setting("TRIBUTARY_GITHUB_API_URL", self.pastimes.github.api_url())
            .setting("TRIBUTARY_GITHUB_POLL_INTERVAL", "2s")
            .setting("TRIBUTARY_POLL_INTERVAL", "1s")
            .setting("TRIBUTARY_FLUSH_AFTER", "1s")
            .setting("TRIBUTARY_BACKFILL_DAYS", self.world.backfill_days.to_string())
    }

    /// Whoever plays the script.
    pub fn player(&self) -> Player<'_> {
        Player::new(&self.world.people, &self.whatpulse, &self.toggl).with(&self.pastimes)
    }

    /// Everybody, as `tributary connections import` reads them.
    pub fn import_file(&self) -> Value {
        import_file(&self.world.people, self.tokens)
    }

    /// Both sides as they are now.
    pub fn verdict(&self) -> Verdict {
        let rows = |person: &Person| {
            let records = Records::of(person, &self.whatpulse, &self.toggl).with(person, &self.pastimes);
            let expected = expected(&person.zone(), &person.mappings, &records);
            let expected = beside(expected, &person.mappings, &self.exist.foreign(&person.name));
            verdict(&person.name, &person.timezone, &expected, &self.held(person))
        };
        Verdict { rows: self.world.people.iter().flat_map(rows).collect() }
    }

    fn held(&self, person: &Person) -> Numbers {
        let values = self.exist.values(&person.name).into_iter();
        values.filter_map(|(key, value)| Some((key, value.number()?))).collect()
    }

    /// Who plays.
    pub fn introduction(&self) -> String {
        let people = &self.world.people;
        let names: Vec<String> = people.iter().map(|person| format!("{} ({})", person.name, person.timezone)).collect();
        format!("{} people: {}\n{}", people.len(), names.join(", "), self.clock_change_note())
    }

    /// Whose clocks changed, and when.
    pub fn clock_change_note(&self) -> String {
        let (Some(change), Some(person)) = (&self.world.clock_change, self.world.people.last()) else {
            return "no clock change lately: in no zone of the list did the clocks change in the last 80 days"
                .to_owned();
        };
        let day = change.instant.to_zoned(person.zone()).date();
        let minutes = Duration::from_secs(change.jump_s.unsigned_abs().into()).as_secs() / 60;
        let way = if change.jump_s < 0 { "back" } else { "ahead" };
        let far =
            if change.recent { "" } else { ", beyond the usual 30 days of back-fill, so it reaches further here" };
        format!("clock change: {}'s clocks ({}) went {way} {minutes} minutes on {day}{far}", person.name, change.zone)
    }
}
