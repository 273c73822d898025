use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// Whether the HTTP library has written the last bytes of a body that is cut.
///
/// A cut is an error of the body, and an error makes the library forget what it has not written:
/// over HTTP/2 even the head of the response. So the error waits for [`Self::poll_written`].
#[derive(Debug)]
pub struct LastBytes(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_written: bool,
    waker: Option<Waker>,
}

/// The bytes as the library holds them: it drops them once they are written, or at least encoded,
/// and then it no longer forgets them.
struct Held {
    bytes: Bytes,
    state: Arc<Mutex<State>>,
}

impl LastBytes {
    /// The bytes to give to the library, and what tells that they are written.
    pub fn new(bytes: impl Into<Bytes>) -> (Bytes, Self) {
        let state = Arc::<Mutex<State>>::default();
        let held = Held { bytes: bytes.into(), state: Arc::clone(&state) };
        (Bytes::from_owner(held), Self(state))
    }

    /// Ready when the bytes are written, or the connection is gone.
    pub fn poll_written(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_written {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.is_written = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
