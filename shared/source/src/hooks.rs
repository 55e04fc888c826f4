//! What a source sends us by itself.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::Value;
use sha2::Sha256;

use crate::{Account, Hint, Malformed, Row};

/// One webhook, as it came: nothing of it is true until its signature is.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, byte for byte.
    pub body: &'a [u8],
    /// When it came, by Redis' clock.
    pub now: Timestamp,
}

impl<'a> Delivery<'a> {
    /// A header, if it is there and plain text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What a delivery brings to one connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Hooked {
    /// Records, and what the next read should look for. The connection is read soon if there is a hint.
    Records {
        /// What the delivery tells wholly; empty where only the source itself can tell.
        rows: Vec<Row>,
        /// What the next read should look for.
        hint: Hint,
    },
    /// Only a knock on the door, answered with this JSON, or with nothing.
    Ping(Option<Value>),
    /// Nothing that counts: another's record, an event of a kind that we do not know.
    Nothing,
}

/// How a source's webhooks are read.
pub trait Hooks: Send + Sync {
    /// What the delivery is about, as [`Hooks::topics`] of a connection names it: a repository, a
    /// subscription. `None` where it names nothing; then only a route with a user can place it.
    ///
    /// # Errors
    /// [`Malformed`]: the body is not what this source sends.
    fn topic(&self, delivery: &Delivery<'_>) -> Result<Option<String>, Malformed>;

    /// The topics a connection wants to hear of, by its credentials. Those of a connection that has a
    /// secret but names no topic are learnt from the first delivery its secret signs.
    fn topics(&self, credentials: &Value) -> Vec<String>;

    /// The secret that signs a connection's deliveries; `None` if it has none, and nothing is taken.
    fn secret<'a>(&self, credentials: &'a Value) -> Option<&'a str> {
        credentials.get("webhook_secret").and_then(Value::as_str).filter(|secret| !secret.is_empty())
    }

    /// Whether this secret signed the delivery. Takes the same time for every wrong signature.
    fn is_signed(&self, delivery: &Delivery<'_>, secret: &str) -> bool;

    /// What is remembered of a delivery, so that it is taken once; `None` for one that may repeat.
    fn delivery_id(&self, delivery: &Delivery<'_>) -> Option<String>;

    /// What the delivery brings to this connection. Its signature was checked.
    ///
    /// # Errors
    /// [`Malformed`]: the body is not what this source sends.
    fn take(&self, delivery: &Delivery<'_>, account: &Account) -> Result<Hooked, Malformed>;
}

/// Whether `signature`, in hexadecimal, is the HMAC-SHA256 of the body under the secret. Takes the same
/// time for every wrong signature of the right length.
#[must_use]
pub fn is_hmac_sha256(secret: &str, body: &[u8], signature: &str) -> bool {
    let Ok(signature) = hex::decode(signature) else { return false };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    mac.verify_slice(&signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_every_byte() {
        // GitHub's published vector.
        let (secret, body) = ("It's a Secret to Everybody", b"Hello, World!");
        let signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(is_hmac_sha256(secret, body, signature));
        assert!(is_hmac_sha256(secret, body, &signature.to_uppercase()));
        assert!(!is_hmac_sha256(secret, b"Hello, World?", signature));
        assert!(!is_hmac_sha256("another", body, signature));
        for wrong in ["", "7571", "no hexadecimal", &signature[2..]] {
            assert!(!is_hmac_sha256(secret, body, wrong), "{wrong}");
        }
    }
}
