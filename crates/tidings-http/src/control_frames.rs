//! A limit on HTTP/2 frames that demand an answer and carry nothing.
//!
//! `SETTINGS` and `PING` must be answered, and an empty `DATA` costs a turn: a peer that sends
//! nothing else keeps a core busy. The HTTP library limits their memory, not their number
//! (CVE-2019-9512, 9515, 9518). Frames are counted from their heads alone (RFC 9113 §4.1).

use std::time::{Duration, Instant};

use crate::limits::{CONTROL_FRAMES_BURST, CONTROL_FRAMES_PER_S};

const HEAD_BYTES: usize = 9;
/// Length of the preface that a client sends before its first frame (RFC 9113 §3.4).
const PREFACE_BYTES: usize = 24;

const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const END_STREAM: u8 = 1;

/// Counts the control frames of one connection as its bytes pass.
#[derive(Debug)]
pub(crate) struct ControlFrames {
    /// Bytes to skip until the next frame head: the rest of the preface or of a frame.
    skip: usize,
    head: [u8; HEAD_BYTES],
    /// Bytes of the head received so far.
    head_bytes: usize,
    /// Control frames that are allowed now.
    left: u32,
    refilled: Instant,
}

/// The peer sent more control frames than any client needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flood;

impl ControlFrames {
    pub(crate) fn new() -> Self {
        Self {
            skip: PREFACE_BYTES,
            head: [0; HEAD_BYTES],
            head_bytes: 0,
            left: CONTROL_FRAMES_BURST,
            refilled: Instant::now(),
        }
    }

    /// The peer sent `bytes`.
    pub(crate) fn note(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEAD_BYTES - self.head_bytes).min(bytes.len());
            self.head[self.head_bytes..][..taken].copy_from_slice(&bytes[..taken]);
            self.head_bytes += taken;
            bytes = &bytes[taken..];
            if self.head_bytes == HEAD_BYTES {
                self.head_bytes = 0;
                let [a, b, c, kind, flags, ..] = self.head;
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                let is_empty = self.skip == 0 && flags & END_STREAM == 0;
                if matches!(kind, SETTINGS | PING) || kind == DATA && is_empty {
                    self.count()?;
                }
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Flood> {
        if self.left == 0 {
            let fresh = self.refilled.elapsed().as_millis() * u128::from(CONTROL_FRAMES_PER_S);
            let fresh = u32::try_from(fresh / 1000).unwrap_or(u32::MAX);
            if fresh == 0 {
                return Err(Flood);
            }
            self.left = fresh.min(CONTROL_FRAMES_BURST);
            self.refilled = Instant::now();
        } else if self.refilled.elapsed() > FULL_AFTER {
            self.left = CONTROL_FRAMES_BURST;
            self.refilled = Instant::now();
        }
        self.left -= 1;
        Ok(())
    }
}

/// Time after which the whole allowance is available again.
const FULL_AFTER: Duration =
    Duration::from_secs((CONTROL_FRAMES_BURST / CONTROL_FRAMES_PER_S) as u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn control_frames_are_counted_however_their_bytes_are_split() {
        let preface = [0; PREFACE_BYTES];
        for (kind, flags, payload, is_counted) in [
            (PING, 0, &b"pingping"[..], true),
            (SETTINGS, 0, b"", true),
            (DATA, 0, b"", true),
            (DATA, END_STREAM, b"", false),
            // Bytes within a frame are not frames.
            (DATA, 0, &[0, 0, 0, PING, 0, 0, 0, 0, 0], false),
            (8, 0, &[0, 0, 0, 1], false),
        ] {
            for cut in [1, 7, 4096] {
                let mut frames = ControlFrames::new();
                let flood = frame(kind, flags, payload).repeat(4 * CONTROL_FRAMES_BURST as usize);
                let bytes = [&preface[..], &flood].concat();
                let is_flood = bytes.chunks(cut).any(|part| frames.note(part).is_err());
                assert_eq!(is_flood, is_counted, "{kind} {flags} {cut}");
            }
        }
    }

    #[test]
    fn as_many_as_a_client_needs_are_no_flood() {
        let mut frames = ControlFrames::new();
        assert_eq!(frames.note(&[0; PREFACE_BYTES]), Ok(()));
        let pings = frame(PING, 0, b"pingping").repeat(CONTROL_FRAMES_BURST as usize);
        assert_eq!(frames.note(&pings), Ok(()));
    }
}
