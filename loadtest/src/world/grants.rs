//! Tokens that are renewed: an access token, and a refresh token that is good for one use.

use std::collections::BTreeMap;

/// One account's tokens.
#[derive(Clone, Default)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    /// How many pairs were given out.
    pub(crate) refreshes: usize,
    /// Its user has taken the access back.
    pub(crate) revoked: bool,
}

/// The tokens of all accounts, by name.
#[derive(Default)]
pub(crate) struct Grants(BTreeMap<String, Tokens>);

/// Tokens are as secret here as anywhere.
impl std::fmt::Debug for Grants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grants").field("accounts", &self.0.len()).finish()
    }
}

impl Grants {
    pub(crate) fn add(&mut self, name: &str, access: &str, refresh: &str) {
        let tokens = Tokens { access: access.to_owned(), refresh: refresh.to_owned(), ..Tokens::default() };
        self.0.insert(name.to_owned(), tokens);
    }

    pub(crate) fn of(&self, name: &str) -> &Tokens {
        &self.0[name]
    }

    pub(crate) fn account_of(&self, access: &str) -> Option<String> {
        let alive = self.0.iter().find(|(_, tokens)| tokens.access == access && !tokens.revoked);
        alive.map(|(name, _)| name.clone())
    }

    /// The access token works no more; the refresh token does.
    pub(crate) fn expire(&mut self, name: &str) {
        let tokens = self.0.get_mut(name).expect("an account that was added");
        tokens.access = format!("expired-{}", tokens.access);
    }

    /// Neither works any more.
    pub(crate) fn revoke(&mut self, name: &str) {
        self.0.get_mut(name).expect("an account that was added").revoked = true;
    }

    /// A pair for the code that this account's consent gives: `code-of-<name>`. The access is given anew.
    fn exchange(&mut self, code: &str) -> Option<Tokens> {
        let (name, tokens) = self.0.iter_mut().find(|(name, _)| code == format!("code-of-{name}"))?;
        tokens.refreshes += 1;
        tokens.revoked = false;
        tokens.access = format!("{name}-access-{}", tokens.refreshes);
        tokens.refresh = format!("{name}-refresh-{}", tokens.refreshes);
        Some(tokens.clone())
    }

    /// What a token endpoint gives for a form or object of these fields.
    pub(crate) fn grant(&mut self, fields: &std::collections::HashMap<String, String>) -> Option<Tokens> {
        match fields.get("grant_type")?.as_str() {
            "refresh_token" => self.refresh(fields.get("refresh_token")?),
            // A code belongs to the address that the person was sent back to.
            "authorization_code" => fields.get("redirect_uri").and_then(|_| self.exchange(fields.get("code")?)),
            _ => None,
        }
    }

    /// A new pair for a refresh token; `None` if it is not the newest of its account.
    fn refresh(&mut self, refresh: &str) -> Option<Tokens> {
        let (name, tokens) = self.0.iter_mut().find(|(_, tokens)| tokens.refresh == refresh && !tokens.revoked)?;
        tokens.refreshes += 1;
        tokens.access = format!("{name}-access-{}", tokens.refreshes);
        tokens.refresh = format!("{name}-refresh-{}", tokens.refreshes);
        Some(tokens.clone())
    }
}
