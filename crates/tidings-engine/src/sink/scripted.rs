//! A sink for tests: it does what its script says, and remembers what the worker did.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_hub::{CloseReason, Farewell, SubscriberId};

use super::Heard;

/// The worker's end.
pub(crate) struct ScriptedSink(Arc<Mutex<Script>>);

/// The test's end: the peer, and the network to it.
#[derive(Clone, Debug)]
pub(crate) struct Peer(Arc<Mutex<Script>>);

#[derive(Debug)]
pub(crate) struct Script {
    /// Bytes that the sink takes before it is full.
    pub(crate) room: usize,
    /// The reason with which every read and write fails from now on.
    pub(crate) broken: Option<CloseReason>,
    /// Whether the peer has ended its side, and the worker has yet to read that.
    pub(crate) has_ended: bool,
    /// Whether the peer leaves everything unanswered.
    pub(crate) has_vanished: bool,
    /// The id under which it was attached.
    pub(crate) id: Option<SubscriberId>,
    /// Bytes that the sink took, without the farewell.
    pub(crate) written: Vec<u8>,
    /// The farewell of each time that the stream was ended; `None` where it was cut.
    pub(crate) finished: Vec<Option<Farewell>>,
    /// Whether the sink is gone.
    pub(crate) is_dropped: bool,
}

impl ScriptedSink {
    /// A sink with room for everything.
    pub(crate) fn new() -> (Self, Peer) {
        let script = Arc::new(Mutex::new(Script {
            room: usize::MAX,
            broken: None,
            has_ended: false,
            has_vanished: false,
            id: None,
            written: Vec::new(),
            finished: Vec::new(),
            is_dropped: false,
        }));
        (Self(Arc::clone(&script)), Peer(script))
    }

    pub(crate) fn attached(&self, id: SubscriberId) -> Result<(), CloseReason> {
        self.script().id = Some(id);
        self.check()
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize, CloseReason> {
        self.check()?;
        let mut script = self.script();
        let taken = bytes.len().min(script.room);
        script.room -= taken;
        script.written.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    pub(crate) fn drain(&self) -> Result<Heard, CloseReason> {
        self.check()?;
        let ended = std::mem::take(&mut self.script().has_ended);
        Ok(if ended { Heard::End } else { Heard::Nothing })
    }

    pub(crate) fn broken(&self) -> CloseReason {
        self.script().broken.unwrap_or(CloseReason::PeerReset)
    }

    pub(crate) fn has_vanished(&self) -> bool {
        self.script().has_vanished
    }

    pub(crate) fn finish(self, farewell: Option<&Farewell>) {
        let farewell = farewell
            .map(|farewell| Farewell { bytes: farewell.bytes.clone(), is_end: farewell.is_end });
        self.script().finished.push(farewell);
    }

    fn check(&self) -> Result<(), CloseReason> {
        self.script().broken.map_or(Ok(()), Err)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ScriptedSink {
    fn drop(&mut self) {
        self.script().is_dropped = true;
    }
}

impl Peer {
    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id under which the sink was attached.
    pub(crate) fn id(&self) -> SubscriberId {
        self.script().id.expect("it is attached")
    }

    /// The text written since the last call.
    pub(crate) fn read(&self) -> String {
        let written = std::mem::take(&mut self.script().written);
        String::from_utf8(written).expect("UTF-8")
    }
}
