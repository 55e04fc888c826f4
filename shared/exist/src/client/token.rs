//! The calls to the token endpoint: a code or a refresh token in, a token pair out.

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::{
    AppCredentials, Client,
    reply::{Reply, parse},
};
use crate::{Action, Cause, ExistError, Tokens, tokens};

impl Client {
    /// The address to send a browser to, so that a user may grant `scopes` to our application.
    ///
    /// `redirect` must equal the registered one. Exist sends the browser there with `code` and `state`,
    /// or with `error` (`access_denied` when the user cancels); another `state` than this one, or none,
    /// is a failed check.
    ///
    /// # Errors
    /// [`ExistError::NoApp`]: no application credentials are set.
    ///
    /// Source: <https://developer.exist.io/reference/authentication/oauth2/>
    pub fn authorise_url(&self, state: &str, scopes: &[&str], redirect: &Url) -> Result<Url, ExistError> {
        let app = self.app(Action::Authorise)?;
        let mut url = self.oauth("authorize");
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &app.client_id)
            .append_pair("redirect_uri", redirect.as_str())
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", state);
        Ok(url)
    }

    /// Exchanges the code of a redirect for the first token pair. A code works once.
    ///
    /// # Errors
    /// - [`ExistError::InvalidGrant`]: the code is used or too old; the user must start over.
    /// - [`ExistError::Unknown`]: the code may be used up; the user must start over.
    /// - [`ExistError::AppRefused`], [`ExistError::NoApp`]: the operator must set our credentials.
    /// - Any other: nothing happened.
    ///
    /// Source: <https://developer.exist.io/reference/authentication/oauth2/>
    pub async fn exchange_code(&self, code: &SecretString, redirect: &Url) -> Result<Tokens, ExistError> {
        let parts =
            [("grant_type", "authorization_code"), ("code", code.expose_secret()), ("redirect_uri", redirect.as_str())];
        self.ask_for_tokens(Action::ExchangeCode, &parts, code, || true).await
    }

    /// Exchanges a refresh token for a new pair, which kills the old pair, access token included.
    ///
    /// One caller at a time per user, and one that can still store the answer: `fence` is asked once,
    /// just before the request leaves, as in [`Client::update`]. A pair that is not stored locks the
    /// user out.
    ///
    /// # Errors
    /// - [`ExistError::InvalidGrant`]: used, expired or revoked; the user must connect again.
    /// - [`ExistError::Unknown`]: the old pair may be dead and the new one lost; trying once more tells.
    /// - [`ExistError::AppRefused`], [`ExistError::NoApp`]: the operator must set our credentials.
    /// - Any other, [`ExistError::Fenced`] among them: nothing happened, the old pair is as it was.
    ///
    /// Source: <https://developer.exist.io/reference/authentication/oauth2/>
    pub async fn refresh(
        &self,
        refresh_token: &SecretString,
        fence: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Tokens, ExistError> {
        let parts = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())];
        self.ask_for_tokens(Action::RefreshTokens, &parts, refresh_token, fence).await
    }

    fn app(&self, action: Action) -> Result<&AppCredentials, ExistError> {
        self.app.as_ref().ok_or(ExistError::NoApp { action })
    }

    async fn ask_for_tokens(
        &self,
        action: Action,
        parts: &[(&str, &str)],
        grant: &SecretString,
        fence: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Tokens, ExistError> {
        let app = self.app(action)?;
        let secret = app.client_secret.expose_secret();
        // Finished before anything is awaited: the serializer cannot be moved between threads.
        let form = {
            let mut form = Serializer::new(String::new());
            form.extend_pairs(parts).append_pair("client_id", &app.client_id).append_pair("client_secret", secret);
            form.finish()
        };
        let reply = self.post_form(action, self.oauth("access_token"), form, fence).await?;
        read_tokens(reply, &[grant.expose_secret(), secret])
    }
}

/// The codes of RFC 6749, section 5.2, which is what Exist's server is taken to answer.
fn read_tokens(reply: Reply, secrets: &[&str]) -> Result<Tokens, ExistError> {
    #[derive(Deserialize)]
    struct Refused {
        error: String,
    }
    let action = reply.action;
    if matches!(reply.status.as_u16(), 400 | 401 | 403) {
        let refused = serde_json::from_slice::<Refused>(reply.bytes()).ok();
        match (refused.as_ref().map(|refused| refused.error.as_str()), reply.status.as_u16()) {
            (Some("invalid_grant"), _) => return Err(ExistError::InvalidGrant { action }),
            // Here a 401 is about our application: no user's token was sent.
            (Some("invalid_client" | "unauthorized_client"), _) | (_, 401) => {
                return Err(ExistError::AppRefused { action });
            }
            _ => {}
        }
    }
    let body = reply.success(secrets)?;
    let no_token = || ExistError::Unknown { action, cause: Cause::Unreadable("an empty token".to_owned()) };
    Tokens::from_wire(parse::<tokens::Wire>(action, &body)?).ok_or_else(no_token)
}
