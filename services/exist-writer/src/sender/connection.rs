//! The connection to Exist: its tokens, the profile's zone, and what happens when it is off.

use std::time::Duration;

use exist::ExistError;
use settings::SecretString;
use store::{
    Commit, StoreError,
    user::{Connected, ExistConnection, ProfileZone, document, field},
};
use tracing::{info, warn};

use super::turn::{Turn, UNOPENED};

impl Turn<'_> {
    /// Nobody of that name is connected any more.
    pub(super) async fn forget(&self) -> Result<(), StoreError> {
        let mut commit = Commit::new();
        commit.not_due(&self.owned.keys.due(self.owned.partition()), self.user.as_str());
        self.owned.commit(commit).await.map(drop)
    }

    /// Exist does not take the token: refresh it once, then it is for the user to connect again.
    pub(super) async fn unauthorised(&self) -> Result<(), StoreError> {
        let exist = self.exist();
        let can_refresh = exist.refresh_token.is_some() && self.sender.settings.apps.exist.is_some();
        if can_refresh && !exist.last_chance {
            return self.refresh(true).await;
        }
        self.turn_off("Exist does not take the token any more").await
    }

    /// Gets a new token pair, and stores both before either is used: the old pair is dead by then.
    ///
    /// One at a time, because only the partition's owner does it and a user has one turn at a time.
    pub(super) async fn refresh(&self, last_chance: bool) -> Result<(), StoreError> {
        let exist = self.exist();
        let sealed = exist.refresh_token.as_deref().unwrap_or_default();
        let (Some(refresh_token), Some(sealer)) = (self.open_token(sealed), self.sender.sealer.as_ref()) else {
            return self.come_again(UNOPENED).await;
        };
        if let Err(wait) = self.permission() {
            return self.come_again(wait).await;
        }
        let call = self.sender.client.refresh(&refresh_token, self.fence());
        match self.timed("refresh", call).await {
            Ok(tokens) => {
                let context = format!("{}/exist", self.user);
                let seal = |token: &SecretString| sealer.seal(token, &context);
                let now_s = i64::try_from(self.now_ms / 1000).unwrap_or(i64::MAX);
                let lives = tokens.expires_in.and_then(|lives| i64::try_from(lives.as_secs()).ok());
                let renewed = ExistConnection {
                    access_token: seal(&tokens.access),
                    // An answer without one leaves us the old one, which may be dead: then the next 401 tells.
                    refresh_token: Some(seal(tokens.refresh.as_ref().unwrap_or(&refresh_token))),
                    expires_at: lives.map(|lives| now_s + lives),
                    last_chance,
                    ..exist.clone()
                };
                info!("refreshed a token of Exist");
                self.store_connection(&renewed, Duration::ZERO).await
            }
            Err(ExistError::InvalidGrant { .. }) => {
                self.turn_off("Exist does not take the refresh token any more").await
            }
            Err(failed @ (ExistError::AppRefused { .. } | ExistError::NoApp { .. })) => {
                self.turn_off(&failed.to_string()).await
            }
            Err(failed) => self.failed(Commit::new(), &failed).await,
        }
    }

    /// The connection is off until the user connects again; what waits is disabled in the next turn.
    pub(super) async fn turn_off(&self, reason: &str) -> Result<(), StoreError> {
        let connected = Connected::Off { reason: reason.to_owned(), since_ms: self.now_ms };
        warn!("a connection to Exist is off: {reason}");
        self.store_connection(&ExistConnection { connected, ..self.exist().clone() }, Duration::ZERO).await
    }

    /// Stores the connection, unless an operator stored another one since; then is due again.
    async fn store_connection(&self, connection: &ExistConnection, again: Duration) -> Result<(), StoreError> {
        let mut commit = Commit::new();
        self.put_connection(&mut commit, connection);
        self.due_in(&mut commit, again);
        self.owned.commit(commit).await.map(drop)
    }

    pub(super) fn put_connection(&self, commit: &mut Commit, connection: &ExistConnection) {
        let hash = self.owned.keys.user(self.owned.partition(), self.user);
        commit.swap(&hash, field::EXIST, document(self.exist()).as_bytes(), document(connection).as_bytes());
    }

    /// Asks Exist which zone the user lives in.
    pub(super) async fn read_profile(&self) -> Result<(), StoreError> {
        let Some(token) = self.open_token(&self.exist().access_token) else {
            return self.come_again(UNOPENED).await;
        };
        let spent = match self.permission() {
            Ok(spent) => spent,
            Err(wait) => return self.come_again(wait).await,
        };
        let profile = match self.ask("profile", spent, self.sender.client.profile(&token)).await? {
            Ok(profile) => profile,
            Err(failed) => return self.failed(Commit::new(), &failed).await,
        };
        let known = profile.timezone.filter(|name| jiff::tz::TimeZone::get(name).is_ok());
        let name = known.unwrap_or_else(|| {
            let before = self.documents.profile_zone.as_ref().map(|zone| zone.name.clone());
            warn!("Exist's profile has no zone that we know");
            before.unwrap_or_else(|| "UTC".to_owned())
        });
        let mut commit = Commit::new();
        let hash = self.owned.keys.user(self.owned.partition(), self.user);
        let zone = ProfileZone { name, read_at_ms: self.now_ms };
        commit.set(&hash, field::PROFILE_ZONE, document(&zone).as_bytes());
        // The new zone decides from now on; an import's decides anyway.
        let imported = self.documents.about.as_ref().and_then(|about| about.timezone.as_deref());
        if let Some(zones) = self.documents.zones_from_now(imported.unwrap_or(&zone.name), self.now_ms) {
            commit.set(&hash, field::ZONES, document(&zones).as_bytes());
        }
        commit.bump(&self.owned.keys.revision(self.owned.partition()));
        self.owned.note_success(&mut commit, self.user);
        self.due_in(&mut commit, Duration::ZERO);
        self.owned.commit(commit).await.map(drop)
    }
}
