//! Access to a source that has to be renewed. Only the partition's owner does it, one connection at a
//! time, and stores the new pair before it uses it: many sources take a refresh token only once.

use std::time::Instant;

use settings::{ExposeSecret, SecretString};
use source::{Account, OAuth, SourceError, oauth::expires_soon};
use store::{
    Commit, StoreError,
    user::{SourceConnection, document, field},
};
use tracing::{error, info};

use super::{Poller, turn::Turn};

impl Poller {
    /// The connection's credentials, opened; `None` if our keys do not open them.
    pub(super) fn account(&self, turn: &Turn<'_>) -> Option<Account> {
        let sealer = self.settings.encryption_key.as_ref()?;
        let opened = sealer.open(&turn.connection.credentials, &turn.sealed_for());
        let credentials = opened
            .inspect_err(|failed| error!(error = telemetry::chain(failed), "credentials cannot be opened"))
            .ok()?;
        let credentials = serde_json::from_str(credentials.expose_secret()).ok()?;
        Some(Account { user: turn.user.clone(), credentials })
    }

    /// Our application at the source, where the connection's token can be refreshed at all.
    fn can_refresh<'a>(&self, turn: &Turn<'a>, account: &Account) -> Option<&'a OAuth> {
        turn.source.oauth().filter(|_| !account.credential("refresh_token").is_empty())
    }

    /// Likewise, where the token expires soon.
    pub(super) fn expiring<'a>(&self, turn: &Turn<'a>, account: &Account) -> Option<&'a OAuth> {
        self.can_refresh(turn, account).filter(|_| expires_soon(&account.credentials, turn.now()))
    }

    /// Likewise, where the source refuses the token and it is not fresh.
    pub(super) fn may_refresh<'a>(&self, turn: &Turn<'a>, account: &Account) -> Option<&'a OAuth> {
        self.can_refresh(turn, account).filter(|_| !turn.connection.last_chance)
    }

    /// Renews the connection's tokens; the poll itself comes next.
    pub(super) async fn refresh(
        &self,
        turn: &mut Turn<'_>,
        oauth: &OAuth,
        account: &Account,
        refused: bool,
    ) -> Result<(), StoreError> {
        let begun = Instant::now();
        let answer = oauth.refresh(account, turn.now()).await;
        self.told(turn.name, "refresh", begun, answer.as_ref().err());
        let grant = match answer {
            Ok(grant) => grant,
            Err(failed @ SourceError::Unauthorised { .. }) => {
                let reason = format!("connect again: {}", telemetry::chain(&failed));
                return turn.turn_off(&reason).await;
            }
            Err(failed) => return turn.failed(failed).await,
        };
        let Some(sealer) = &self.settings.encryption_key else { return turn.come_again(super::UNOPENED).await };
        let renewed = SecretString::from(grant.renew(&account.credentials, turn.source.token_field()).to_string());
        let connection = SourceConnection {
            credentials: sealer.seal(&renewed, &turn.sealed_for()),
            last_chance: refused,
            ..turn.connection.clone()
        };
        let mut commit = Commit::new();
        let hash = turn.owned.keys.user(turn.owned.partition(), turn.user);
        let (before, after) = (document(turn.connection), document(&connection));
        commit.swap(&hash, &field::source(turn.name), before.as_bytes(), after.as_bytes());
        turn.again(&mut commit, std::time::Duration::ZERO);
        turn.owned.commit(commit).await?;
        info!("a connection to {} has new tokens", turn.name);
        Ok(())
    }
}
