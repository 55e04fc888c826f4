//! A webhook's body, read within bounds of size, time and memory.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, header::CONTENT_LENGTH},
};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longest body, in bytes: GitHub sends up to 25 MB (contract, section 3.2).
pub(super) const BODY_BYTES_MAX: usize = 25 << 20;
/// How much of a longer body is read and thrown away, in bytes: who is still sending hears no answer.
const THROWN_AWAY_MAX: usize = 2 * BODY_BYTES_MAX;
/// How long a body may take to come: GitHub waits 10 s for an answer to all of it, Toggl 5 s after less.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// Memory for all bodies in hand, in KiB: ten of the longest, or 4,096 of the usual ones.
const ROOM_KIB: u32 = 256 << 10;
/// What every request is charged at least, in KiB: it costs more than its body.
const CHARGE_KIB_MIN: usize = 64;

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It has more than [`BODY_BYTES_MAX`] bytes.
    TooLarge,
    /// It broke off, or did not come within [`READ_WITHIN`].
    Incomplete,
    /// Too much is in hand already.
    NoRoom,
}

/// A body in hand; dropping it makes room for another.
pub(super) struct Read {
    pub(super) bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

/// The memory that the bodies in hand share.
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(usize::try_from(ROOM_KIB).expect("it fits any machine of ours"))))
    }

    /// Reads a body whole, or says why not.
    pub(super) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Read, Unread> {
        let room = Arc::clone(&self.0).try_acquire_many_owned(charge(headers)).map_err(|_| Unread::NoRoom)?;
        let bytes = tokio::time::timeout(READ_WITHIN, whole(body)).await.unwrap_or(Err(Unread::Incomplete))?;
        Ok(Read { bytes, _room: room })
    }
}

/// What a body is charged, in KiB: what it says it has, or the most where it says nothing.
fn charge(headers: &HeaderMap) -> u32 {
    let said = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let kib = said.unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX).div_ceil(1024);
    u32::try_from(kib.max(CHARGE_KIB_MIN)).expect("25 MiB are not that many KiB")
}

async fn whole(body: Body) -> Result<Vec<u8>, Unread> {
    let (mut bytes, mut length) = (Vec::new(), 0_usize);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Unread::Incomplete)?;
        length += chunk.len();
        if length > THROWN_AWAY_MAX {
            break;
        } else if length > BODY_BYTES_MAX {
            bytes = Vec::new();
        } else {
            bytes.extend_from_slice(&chunk);
        }
    }
    if length > BODY_BYTES_MAX { Err(Unread::TooLarge) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saying(length: &str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_LENGTH, length.parse().unwrap())])
    }

    #[test]
    fn a_body_is_charged_what_it_says_and_the_most_where_it_says_nothing() {
        assert_eq!(charge(&saying("20000")), 64);
        assert_eq!(charge(&saying("1048577")), 1025);
        for most in [HeaderMap::new(), saying("99999999999"), saying("many")] {
            assert_eq!(charge(&most), 25 << 10);
        }
    }

    #[tokio::test]
    async fn bodies_in_hand_leave_no_room_until_they_are_done_with() {
        let room = Room::new();
        let mut in_hand = Vec::new();
        loop {
            match room.read(&saying("26214400"), Body::from("short")).await {
                Ok(read) => in_hand.push(read),
                Err(unread) => break assert_eq!(unread, Unread::NoRoom),
            }
        }
        assert_eq!(in_hand.len(), 10);
        in_hand.pop();
        assert_eq!(room.read(&saying("26214400"), Body::from("short")).await.map(|read| read.bytes).unwrap(), b"short");
    }
}
