//! Secrets at rest: sealed with XChaCha20-Poly1305, bound to whose they are and what they are.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretBox, SecretString};

/// The form of a sealed text; another algorithm would get another name.
const FORM: &str = "v1";
/// The id of a key that was given without one.
const ID_DEFAULT: &str = "1";
/// The longest key id, in bytes.
const ID_MAX: usize = 16;
/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Bytes of a nonce: 24, so that random ones never meet.
const NONCE_BYTES: usize = 24;

/// Standard base64, with or without its padding: people cut it off.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a sealed text did not open, or a key was not accepted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// Opening: none of our keys has the id it was sealed with; the key was taken away too early.
    #[error("sealed with key {id:?}, which is not among ours")]
    UnknownKey {
        /// The id.
        id: String,
    },
    /// Opening: the text was changed, or belongs to another user or field, or the key is another one.
    #[error("the sealed text does not match its key and its place")]
    Tampered,
    /// Opening: this is no sealed text at all.
    #[error("this is no sealed text")]
    Malformed,
    /// Reading keys: this one is not an id of letters, digits, `-`, `_` and 32 bytes in base64 or hexadecimal.
    #[error(
        "key number {number} is not 32 bytes in base64 or hexadecimal digits, or its id is not 1 to 16 letters and digits"
    )]
    Key {
        /// Which one, counted from 1.
        number: usize,
    },
    /// Reading keys: two of them have the same id, or several have none.
    #[error("two keys have the same id")]
    SameId,
}

/// Seals and opens secrets. The first key seals; all keys open.
///
/// Clones share the keys. [`Debug`] shows their ids and nothing else.
#[derive(Clone)]
pub struct Sealer {
    /// At least one.
    keys: Arc<[Key]>,
}

struct Key {
    id: String,
    bytes: SecretBox<[u8; KEY_BYTES]>,
}

impl Sealer {
    /// Reads keys as the setting gives them: one in base64, or several as `id:base64,id:base64`.
    ///
    /// # Errors
    /// [`SealError::Key`] and [`SealError::SameId`]; neither repeats any part of a key.
    pub fn from_keys(text: &str) -> Result<Self, SealError> {
        let mut keys: Vec<Key> = Vec::new();
        for (index, part) in text.split(',').enumerate() {
            let key = Key::parse(part.trim()).ok_or(SealError::Key { number: index + 1 })?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(SealError::SameId);
            }
            keys.push(key);
        }
        Ok(Self { keys: keys.into() })
    }

    /// A new random key, as the setting takes it. For trials, and for operators who make one.
    pub fn generate_key() -> SecretString {
        let bytes = SecretBox::new(Box::new(rand::random::<[u8; KEY_BYTES]>()));
        BASE64.encode(bytes.expose_secret()).into()
    }

    /// Seals a secret with the first key. Sealing the same secret twice gives different texts.
    ///
    /// `aad` says whose secret it is and which (user and field): it opens with the same `aad` only,
    /// so that a sealed text cannot be moved to another user's record.
    pub fn seal(&self, plain: &SecretString, aad: &str) -> String {
        let key = self.keys.first().expect("a sealer is never made without a key");
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload { msg: plain.expose_secret().as_bytes(), aad: aad.as_bytes() };
        let sealed = key
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .expect("only a text of 256 GiB or more cannot be sealed");
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        format!("{FORM}.{}.{}", key.id, BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Opens a sealed text.
    ///
    /// # Errors
    /// - [`SealError::UnknownKey`]: put the key it names back into the setting.
    /// - [`SealError::Tampered`], [`SealError::Malformed`]: the secret is lost; its owner has to connect again.
    pub fn open(&self, sealed: &str, aad: &str) -> Result<SecretString, SealError> {
        let mut parts = sealed.split('.');
        let (Some(FORM), Some(id), Some(body), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(SealError::Malformed);
        };
        if !is_id(id) {
            return Err(SealError::Malformed);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(body).map_err(|_| SealError::Malformed)?;
        let (nonce, body) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Malformed)?;
        let key =
            self.keys.iter().find(|key| key.id == id).ok_or_else(|| SealError::UnknownKey { id: id.to_owned() })?;
        let payload = Payload { msg: body, aad: aad.as_bytes() };
        let plain = key.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| SealError::Tampered)?;
        // We only ever seal text, and what opens is what we sealed.
        String::from_utf8(plain).map(SecretString::from).map_err(|_| SealError::Malformed)
    }

    /// Whether a sealed text was sealed with the first key; if not, it is due to be sealed again.
    pub fn is_current(&self, sealed: &str) -> bool {
        let id = sealed.split('.').nth(1);
        self.keys.first().is_some_and(|key| id == Some(key.id.as_str()))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.keys.iter().map(|key| key.id.as_str()).collect();
        f.debug_struct("Sealer").field("keys", &ids).finish()
    }
}

impl Key {
    fn parse(text: &str) -> Option<Self> {
        let (id, encoded) = text.split_once(':').unwrap_or((ID_DEFAULT, text));
        if !is_id(id) {
            return None;
        }
        let decoded = if encoded.len() == 2 * KEY_BYTES {
            // Base64 of a key is shorter, so twice its length can only be hexadecimal digits.
            hex::decode(encoded).ok()?
        } else {
            // Both alphabets, since generators differ in which one they write.
            let encoded = SecretString::from(encoded.replace('-', "+").replace('_', "/"));
            BASE64.decode(encoded.expose_secret()).ok()?
        };
        let decoded = SecretBox::new(Box::new(decoded));
        let bytes = decoded.expose_secret().as_slice().try_into().ok()?;
        Some(Self { id: id.to_owned(), bytes: SecretBox::new(Box::new(bytes)) })
    }

    /// Made for each call: it is a copy of the key, wiped when dropped.
    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes.expose_secret().into())
    }
}

/// Letters, digits, `-` and `_`: an id never needs quoting, and holds none of our separators.
fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= ID_MAX
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests;
