//! Simulated Exist and sources, with people who use them.

use std::time::Duration;

use loadtest::{demo::Stage, exist::ExistConfig};
use settings::{App, SecretString, Settings};

/// Between two things that somebody does.
const ROUND_EVERY: Duration = Duration::from_secs(20);

/// Whether any base address or credential was set: then nothing is simulated.
pub(crate) fn are_real(settings: &Settings) -> bool {
    let defaults = Settings::default();
    let base = |settings: &Settings| {
        let peers = &settings.peers;
        let bases = [
            &peers.exist_api,
            &peers.whatpulse_api,
            &peers.trakt_api,
            &peers.toggl_api,
            &peers.ynab_api,
            &peers.github_api,
        ];
        bases.map(|base| base.as_str().to_owned())
    };
    let apps = &settings.apps;
    let has_app = [&apps.exist, &apps.trakt, &apps.ynab, &apps.github].iter().any(|app| app.is_some());
    has_app || base(settings) != base(&defaults)
}

/// The peers, and whoever plays on them.
pub(crate) struct Peers {
    stage: Stage,
}

impl Peers {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Ok(Self { stage: Stage::set(1, ExistConfig::default()).await? })
    }

    /// The same settings, pointed at the simulators and hurried along.
    pub(crate) fn point(&self, mut settings: Settings) -> anyhow::Result<Settings> {
        let exist = ExistConfig::default();
        let bases = [
            ("TRIBUTARY_EXIST_API_URL", self.stage.exist.base_url()),
            ("TRIBUTARY_EXIST_OAUTH_URL", self.stage.exist.oauth_url()),
            ("TRIBUTARY_WHATPULSE_API_URL", self.stage.whatpulse.api_url()),
            ("TRIBUTARY_TOGGL_API_URL", self.stage.toggl.api_url()),
            ("TRIBUTARY_TRAKT_API_URL", self.stage.pastimes.trakt.api_url()),
            ("TRIBUTARY_TRAKT_OAUTH_URL", self.stage.pastimes.trakt.oauth_url()),
            ("TRIBUTARY_YNAB_API_URL", self.stage.pastimes.ynab.api_url()),
            ("TRIBUTARY_YNAB_OAUTH_URL", self.stage.pastimes.ynab.oauth_url()),
            ("TRIBUTARY_GITHUB_API_URL", self.stage.pastimes.github.api_url()),
            ("TRIBUTARY_POLL_INTERVAL", "2s".to_owned()),
        ];
        let pointed = Settings::load(bases.map(|(name, value)| (name.to_owned(), value)), &[], None)?;
        settings.peers = pointed.peers;
        settings.poll_intervals = pointed.poll_intervals;
        let client_secret = SecretString::from(exist.client_secret);
        settings.apps.exist = Some(App { client_id: exist.client_id, client_secret });
        let app = |name: &str| App {
            client_id: name.to_owned(),
            client_secret: SecretString::from(format!("{name}-secret")),
        };
        settings.apps.trakt = Some(app("trakt"));
        settings.apps.ynab = Some(app("ynab"));
        Ok(settings)
    }

    /// Everybody, as an import file.
    pub(crate) fn rows(&self) -> String {
        self.stage.import_file().to_string()
    }

    pub(crate) fn names(&self) -> String {
        self.stage.world.people.iter().map(|person| person.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Whether somebody of this name lives there.
    pub(crate) fn is_home_to(&self, name: &str) -> bool {
        self.stage.world.people.iter().any(|person| person.name == name)
    }

    pub(crate) fn first(&self) -> &str {
        self.stage.world.people.first().map_or("nobody", |person| &person.name)
    }

    /// Plays the script round by round, then lets the world rest.
    pub(crate) async fn play_on(&self) -> anyhow::Result<()> {
        let mut player = self.stage.player();
        for round in &self.stage.world.rounds {
            player.play(round);
            tokio::time::sleep(ROUND_EVERY).await;
        }
        std::future::pending().await
    }
}
