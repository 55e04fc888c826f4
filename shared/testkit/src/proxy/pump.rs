//! One direction of one connection: read, wait as long as the faults say, write.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{Direction, Faults, Link};

/// Bytes read at once.
const PIECE_MAX: usize = 16 * 1024;
/// Pieces on their way at once; a faster sender waits, as with a full pipe.
const PIECES_MAX: usize = 64;

/// The connection cannot go on and must be reset.
#[derive(Debug)]
pub(super) struct MustReset;

struct Piece {
    due: Instant,
    bytes: Vec<u8>,
}

/// Passes one direction on until the sender ends it, then ends it for the receiver too.
pub(super) async fn pump(
    direction: Direction,
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    faults: watch::Receiver<Faults>,
) -> Result<(), MustReset> {
    let (send, receive) = mpsc::channel(PIECES_MAX);
    tokio::try_join!(read(from, send, faults.clone()), write(direction, to, receive, faults))?;
    Ok(())
}

async fn read(
    mut from: ReadHalf<'_>,
    send: mpsc::Sender<Piece>,
    faults: watch::Receiver<Faults>,
) -> Result<(), MustReset> {
    let mut buffer = vec![0; PIECE_MAX];
    let mut due = Instant::now();
    loop {
        let count = from.read(&mut buffer).await.map_err(|_| MustReset)?;
        if count == 0 {
            return Ok(());
        }
        let Faults { delay, jitter, .. } = *faults.borrow();
        // A piece never overtakes the one before it.
        due = due.max(Instant::now() + delay + share_of(jitter));
        // Refused once this direction is half-closed: the sender's bytes then go nowhere.
        let _ = send.send(Piece { due, bytes: buffer[..count].to_vec() }).await;
    }
}

async fn write(
    direction: Direction,
    mut to: WriteHalf<'_>,
    mut receive: mpsc::Receiver<Piece>,
    mut faults: watch::Receiver<Faults>,
) -> Result<(), MustReset> {
    let mut waiting = None;
    loop {
        let Faults { link, half_close, reset_after, .. } = *faults.borrow_and_update();
        let mut left = reset_after.filter(|(which, _)| *which == direction).map(|(_, left)| left);
        if half_close == Some(direction) {
            return to.shutdown().await.map_err(|_| MustReset);
        }
        loop {
            tokio::select! {
                changed = faults.changed() => {
                    changed.map_err(|_| MustReset)?;
                    break;
                }
                piece = when_due(&mut waiting, &mut receive), if link == Link::Open => match piece {
                    Some(piece) => deliver(&mut to, &piece.bytes, &mut left).await?,
                    None => return to.shutdown().await.map_err(|_| MustReset),
                }
            }
        }
    }
}

/// The next piece at its time, none when the sender has ended. Cancelling it loses nothing.
async fn when_due(waiting: &mut Option<Piece>, receive: &mut mpsc::Receiver<Piece>) -> Option<Piece> {
    if waiting.is_none() {
        *waiting = Some(receive.recv().await?);
    }
    let due = waiting.as_ref().expect("just received").due;
    sleep_until(due).await;
    waiting.take()
}

/// Writes as much as may still pass; the first byte more resets the connection.
async fn deliver(to: &mut WriteHalf<'_>, bytes: &[u8], left: &mut Option<u64>) -> Result<(), MustReset> {
    let allowed = left.map_or(bytes.len(), |left| usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len()));
    to.write_all(&bytes[..allowed]).await.map_err(|_| MustReset)?;
    if let Some(left) = left {
        *left -= u64::try_from(allowed).expect("a piece is small");
    }
    if allowed < bytes.len() { Err(MustReset) } else { Ok(()) }
}

fn share_of(jitter: Duration) -> Duration {
    let nanos = u64::try_from(jitter.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(rand::random_range(0..=nanos))
}
