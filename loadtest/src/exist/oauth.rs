//! Authorisation, the code exchange and the refresh.

use jiff::Timestamp;

use super::call::{Answer, Body, Call, Pairs};
use super::catalogue::is_scope;
use super::config::{CODE_LIFE, TOKEN_LIFE};
use super::object::Object;
use super::world::{Code, World};

impl World {
    /// Sends the browser back with a code at once: the user sitting at it always has an answer ready.
    pub(super) fn authorize(&mut self, call: &Call, now: Timestamp) -> Answer {
        let bad = |text| Answer::new(400, Body::Text(text));
        let query = &call.query;
        if query.get("client_id") != Some(self.config.client_id.as_str()) {
            return bad("Unknown client.");
        }
        if query.get("response_type") != Some("code") {
            return bad("Unknown response type.");
        }
        let asked = query.get("redirect_uri").map(str::to_owned);
        let redirect_uri = match (asked, self.config.redirect_uri.clone()) {
            (Some(asked), Some(registered)) if asked != registered => {
                return bad("The redirect URI is not the registered one.");
            }
            (Some(asked), _) => asked,
            (None, Some(registered)) => registered,
            (None, None) => return bad("There is no redirect URI."),
        };
        let scopes: Vec<String> = query.get("scope").unwrap_or_default().split(' ').map(str::to_owned).collect();
        if !scopes.iter().all(|scope| is_scope(scope)) {
            return bad("Unknown scope.");
        }
        let Ok(mut target) = url::Url::parse(&redirect_uri) else {
            return bad("The redirect URI is none.");
        };
        // A parameter of the simulator's own, so that a page can choose who connects.
        let user = query.get("username").map(str::to_owned).or_else(|| self.browser_user.clone());
        let user = user.or_else(|| self.users.keys().next().cloned());
        let Some(user) = user.filter(|user| self.users.contains_key(user)) else {
            return bad("Nobody is logged in.");
        };
        if self.consents {
            let code = self.secret();
            target.query_pairs_mut().append_pair("code", &code);
            let expires = now + CODE_LIFE;
            self.codes.insert(code, Code { user, scopes, redirect_uri, expires });
        } else {
            target.query_pairs_mut().append_pair("error", "access_denied");
        }
        if let Some(state) = query.get("state") {
            target.query_pairs_mut().append_pair("state", state);
        }
        Answer::new(302, Body::Empty).header("location", target.as_str())
    }

    /// Exchanges a code or a refresh token for a new pair.
    pub(super) fn access_token(&mut self, call: &Call, now: Timestamp) -> Answer {
        let form = Pairs::read(&call.body);
        let Some(grant) = form.get("grant_type") else {
            return refused("invalid_request");
        };
        if form.get("client_id") != Some(self.config.client_id.as_str())
            || form.get("client_secret") != Some(self.config.client_secret.as_str())
        {
            return refused("invalid_client");
        }
        match grant {
            "authorization_code" => self.exchange(&form, now),
            "refresh_token" => self.refresh(&form, now),
            _ => refused("unsupported_grant_type"),
        }
    }

    /// Whose tokens a call to the token endpoint is about, as far as that can be told.
    pub(super) fn token_owner(&self, call: &Call) -> Option<String> {
        let form = Pairs::read(&call.body);
        if let Some(code) = form.get("code") {
            return self.codes.get(code).map(|code| code.user.clone());
        }
        let refresh = form.get("refresh_token")?;
        self.token_refreshed_by(refresh).map(|token| token.user.clone())
    }

    fn exchange(&mut self, form: &Pairs, now: Timestamp) -> Answer {
        let Some(code) = form.get("code") else {
            return refused("invalid_request");
        };
        // Taken out whatever comes: a code is good for one try.
        match self.codes.remove(code) {
            Some(code) if now < code.expires && form.get("redirect_uri").is_none_or(|uri| uri == code.redirect_uri) => {
                self.pair(code.user, code.scopes, now)
            }
            _ => refused("invalid_grant"),
        }
    }

    fn refresh(&mut self, form: &Pairs, now: Timestamp) -> Answer {
        let Some(refresh) = form.get("refresh_token") else {
            return refused("invalid_request");
        };
        let Some(old) = self.token_refreshed_by(refresh) else {
            return refused("invalid_grant");
        };
        let (user, scopes) = (old.user.clone(), old.scopes.clone());
        self.pair(user, scopes, now)
    }

    fn pair(&mut self, user: String, scopes: Vec<String>, now: Timestamp) -> Answer {
        let (access, refresh) = (self.secret(), self.secret());
        let object = Object::new()
            .with("access_token", &access)
            .with("token_type", "Bearer")
            .with("expires_in", TOKEN_LIFE.as_secs())
            .with("refresh_token", &refresh)
            .with("scope", scopes.join(" "));
        self.issue(access, refresh, user, scopes, now + TOKEN_LIFE);
        Answer::object(object)
    }
}

fn refused(code: &str) -> Answer {
    Answer::new(400, Body::Object(Object::new().with("error", code)))
}
