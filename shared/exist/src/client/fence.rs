//! A body that asks, when it is about to leave, whether it still may.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use bytes::Bytes;
use futures::{Stream, stream};
use reqwest::Body;

const WAITING: u8 = 0; // nobody asked for the body yet
const ASKED: u8 = 1; // somebody did: it leaves, unless the fence is still to say no
const FENCED: u8 = 2; // the fence said no
const GIVEN_UP: u8 = 3; // the call ended first: the body will not leave any more

/// What is known of a body once its call has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// It may have left, in part or whole.
    Perhaps,
    /// It never did and never will.
    Never,
    /// It never did, because the fence said no.
    Fenced,
}

/// The caller's side of a fenced body. When it is dropped, a body that has not left never will.
#[derive(Debug)]
pub(super) struct Fence(Arc<AtomicU8>);

/// The error that the body ends with instead of its bytes.
#[derive(Debug, thiserror::Error)]
#[error("the body may not leave")]
struct Stopped;

impl Fence {
    /// Makes a body of these bytes that leaves only if `fence` says yes when it is first asked for.
    ///
    /// hyper asks for the body of a request only once its connection is made (TLS included), and
    /// writes it in the same step. When it gets an error instead, it closes the connection: the
    /// other end has seen the head at most, and a `Content-Length` that was never filled.
    pub(super) fn around(body: Vec<u8>, fence: impl Fn() -> bool + Send + Sync + 'static) -> (Self, Body) {
        let (ours, bytes) = Self::gate(body, fence);
        (ours, Body::wrap_stream(bytes))
    }

    fn gate(
        body: Vec<u8>,
        fence: impl Fn() -> bool + Send + Sync + 'static,
    ) -> (Self, impl Stream<Item = Result<Bytes, Stopped>> + Send + 'static) {
        let state = Arc::new(AtomicU8::new(WAITING));
        let ours = Self(Arc::clone(&state));
        let leave = async move {
            // Giving up and leaving are one decision, whoever comes first.
            if state.compare_exchange(WAITING, ASKED, Ordering::SeqCst, Ordering::SeqCst).is_err() {
                return Err(Stopped);
            }
            if !fence() {
                state.store(FENCED, Ordering::SeqCst);
                return Err(Stopped);
            }
            Ok(Bytes::from(body))
        };
        (ours, stream::once(leave))
    }

    /// Ends the matter: after this, a body that has not left never will.
    pub(super) fn close(&self) -> Left {
        match self.0.compare_exchange(WAITING, GIVEN_UP, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) | Err(GIVEN_UP) => Left::Never,
            Err(FENCED) => Left::Fenced,
            Err(_) => Left::Perhaps,
        }
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_body_whose_call_was_given_up_never_leaves() {
        let (ours, body) = Fence::gate(b"[1]".to_vec(), || panic!("the fence is not asked"));
        drop(ours);
        assert!(pin!(body).next().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn closing_tells_whether_the_body_may_have_left() {
        let (ours, body) = Fence::gate(b"[1]".to_vec(), || true);
        assert_eq!(pin!(body).next().await.unwrap().unwrap(), "[1]");
        assert_eq!(ours.close(), Left::Perhaps);

        let (ours, body) = Fence::gate(b"[1]".to_vec(), || false);
        assert!(pin!(body).next().await.unwrap().is_err());
        assert_eq!(ours.close(), Left::Fenced);

        let (ours, _body) = Fence::gate(b"[1]".to_vec(), || true);
        assert_eq!((ours.close(), ours.close()), (Left::Never, Left::Never));
    }
}
