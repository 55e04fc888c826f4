//! Which trace an entry belongs to: a few bytes behind what it holds, and none where nobody traces it.
//!
//! They stand behind the payload and not in a field beside it, so that whatever keeps an entry for a while
//! (a list, a dead letter) keeps them without knowing of them, and no script has to. MessagePack says where
//! a value ends, so [`crate::decode`] never sees them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, de::IgnoredAny};

use crate::encode;

/// What a traced entry costs more than another, in bytes.
pub const TRACE_BYTES: usize = 26;

/// Ends a trace; the one byte that no MessagePack value begins with.
const MARK: u8 = 0xc1;
/// Its first telling.
const FIRST: u8 = 0;
/// It was put off or put back.
const AGAIN: u8 = 1;

/// Where an entry came from, as a trace names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The trace (16 bytes) and the span (8 bytes) that appended it.
    pub context: [u8; 24],
    /// It was put off or put back since: what is done about it now is linked to the span, and no part of it.
    pub again: bool,
}

impl Trace {
    /// The trace behind an encoded value; one comparison where there is none.
    #[must_use]
    pub fn of(encoded: &[u8]) -> Option<Self> {
        if encoded.last() != Some(&MARK) {
            return None;
        }
        // A value may end in that byte by chance: only what stands behind it is a trace.
        let mut rest = encoded;
        IgnoredAny::deserialize(&mut rmp_serde::Deserializer::new(&mut rest)).ok()?;
        let (&how, context) = rest.get(..TRACE_BYTES - 1)?.split_first()?;
        let whole = rest.len() == TRACE_BYTES && how <= AGAIN;
        Some(Self { context: context.try_into().ok()?, again: how == AGAIN }).filter(|_| whole)
    }

    /// The same, for an entry that is put off or put back.
    #[must_use]
    pub const fn put_off(self) -> Self {
        Self { again: true, ..self }
    }
}

/// Encodes a value of ours with its trace behind it, if it has one.
pub fn encode_traced<T: Serialize>(value: &T, trace: Option<Trace>) -> Vec<u8> {
    let mut encoded = encode(value);
    if let Some(Trace { context, again }) = trace {
        encoded.reserve_exact(TRACE_BYTES);
        encoded.push(if again { AGAIN } else { FIRST });
        encoded.extend(context);
        encoded.push(MARK);
    }
    encoded
}

/// An encoded value as it is kept while it is put off: only its trace, if it has one, says so.
#[must_use]
pub fn put_off(encoded: &[u8]) -> Cow<'_, [u8]> {
    if Trace::of(encoded).is_none() {
        return Cow::Borrowed(encoded);
    }
    let mut later = encoded.to_vec();
    let how = later.len() - TRACE_BYTES;
    later[how] = AGAIN;
    Cow::Owned(later)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{decode, encode};

    proptest! {
        #[test]
        fn a_trace_is_read_back_and_the_value_does_not_notice(
            text in ".{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..40), context: [u8; 24], again: bool,
        ) {
            let (value, trace) = ((text, bytes), Trace { context, again });
            let encoded = encode_traced(&value, Some(trace));
            prop_assert_eq!(encoded.len(), encode(&value).len() + TRACE_BYTES);
            prop_assert_eq!(Trace::of(&encoded), Some(trace));
            prop_assert_eq!(decode::<(String, Vec<u8>)>(&encoded).unwrap(), value);
            prop_assert_eq!(Trace::of(&put_off(&encoded)), Some(trace.put_off()));
        }

        #[test]
        fn a_value_without_a_trace_has_none_however_it_ends(mut bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            bytes.push(MARK);
            let text: Vec<u16> = bytes.iter().map(|byte| u16::from(*byte)).collect();
            for encoded in [encode(&bytes), encode(&text), encode_traced(&bytes, None)] {
                prop_assert_eq!(Trace::of(&encoded), None);
                prop_assert_eq!(&*put_off(&encoded), &encoded[..]);
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            bytes.push(MARK);
            let _ = Trace::of(&bytes);
        }
    }
}
