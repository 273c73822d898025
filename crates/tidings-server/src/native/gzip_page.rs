//! A page of history as gzip.

use std::sync::Arc;

use http::HeaderMap;
use tidings_codec::gzip::{self, Checksum, Deflater};
use tidings_engine::Engine;
use tidings_http::accept_encoding;
use tidings_hub::{Record, Sharing};

use crate::limits::GZIP_BODY_BYTES_MIN;

/// Which events of a page may refer to one another, and where in its text those begin that may not.
pub(super) struct Cuts {
    sharing: Sharing,
    last: Option<Arc<Record>>,
    places: Vec<usize>,
}

impl Cuts {
    /// Those of a page for a client with these `headers`; `None` if it gets the plain text.
    pub(super) fn new(engine: &Engine, headers: &HeaderMap) -> Option<Self> {
        let sharing = engine.compression().filter(|_| accept_encoding::takes_gzip(headers))?;
        Some(Self { sharing, last: None, places: Vec::new() })
    }

    /// The text of `record` begins at `place`.
    pub(super) fn note(&mut self, record: &Arc<Record>, place: usize) {
        let last = self.last.replace(Arc::clone(record));
        if !last.is_none_or(|last| self.sharing.joins(&last, record)) {
            self.places.push(place);
        }
    }

    /// The events end at `place`. What follows repeats words of the request, of which anybody who
    /// can send the client somewhere has the choice.
    pub(super) fn end(&mut self, place: usize) {
        self.places.push(place);
    }

    /// The body, if it gets shorter.
    pub(super) fn compress(&self, text: &[u8]) -> Option<Vec<u8>> {
        if text.len() < GZIP_BODY_BYTES_MIN {
            return None;
        }
        let mut body = gzip::HEADER.to_vec();
        let mut deflater = Deflater::new();
        let mut start = 0;
        for end in self.places.iter().copied().chain([text.len()]) {
            deflater.forget();
            deflater.block(&mut body, &text[start..end]);
            start = end;
        }
        gzip::end(&mut body, Checksum::of(text));
        (body.len() < text.len()).then_some(body)
    }
}
