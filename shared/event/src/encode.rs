//! MessagePack in and out: structs as arrays, so that no field name travels or is stored.

use serde::{Serialize, de::DeserializeOwned};

/// Bytes that are not what they should be.
#[derive(Debug, thiserror::Error)]
#[error("decoding a {what}")]
pub struct EncodeError {
    what: &'static str,
    #[source]
    source: rmp_serde::decode::Error,
}

/// Encodes a value of ours.
///
/// # Panics
/// Never for the types of this crate: they hold nothing that MessagePack cannot.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("our own types encode")
}

/// Decodes what [`encode`] made.
///
/// # Errors
/// [`EncodeError`]: other bytes than ours, or of an incompatible release.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, EncodeError> {
    rmp_serde::from_slice(bytes).map_err(|source| EncodeError { what: std::any::type_name::<T>(), source })
}
