//! The hub's answer to a publish.

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tidings_codec::EventId;

use super::error::PublishError;
use crate::Refusal;

/// An event that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The id under which subscribers receive it.
    pub id: EventId,
    /// Whether the hub already had an event with this id, and so published nothing now. Never set
    /// for an id that the publisher assigned: then it was an earlier attempt of the same publish.
    pub duplicate: bool,
}

/// Several events that are stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Number of events published.
    pub published: u64,
    /// Number of events that the hub already had, by their ids, and so did not publish again. After
    /// a retry this includes events that the first attempt published.
    pub duplicates: u64,
    /// The id of the first.
    pub first_id: Option<EventId>,
    /// The id of the last.
    pub last_id: Option<EventId>,
}

impl Summary {
    /// Number of events stored now: all that were sent.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.published + self.duplicates
    }

    /// Adds what came after.
    pub(super) fn extend(&mut self, next: Self) {
        self.published += next.published;
        self.duplicates += next.duplicates;
        self.first_id = self.first_id.take().or(next.first_id);
        self.last_id = next.last_id.or(self.last_id.take());
    }
}

/// An answer with success.
pub(super) struct Answer {
    pub(super) url: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

#[derive(Deserialize)]
struct One {
    id: String,
    #[serde(default)]
    duplicate: bool,
}

#[derive(Deserialize)]
struct Several {
    published: u64,
    #[serde(default)]
    duplicates: u64,
    #[serde(default)]
    first_id: Option<String>,
    #[serde(default)]
    last_id: Option<String>,
}

impl Answer {
    pub(super) fn published(self, id_is_ours: bool) -> Result<Published, PublishError> {
        let read = serde_json::from_slice(&self.body).ok();
        let read = read.and_then(|One { id, duplicate }| {
            Some(Published { id: EventId::new(id).ok()?, duplicate: duplicate && !id_is_ours })
        });
        read.ok_or_else(|| self.not_understood())
    }

    /// The answer to this many events, all of which must be stored.
    pub(super) fn summary(self, events: usize) -> Result<Summary, PublishError> {
        let id = |text: Option<String>| text.and_then(|text| EventId::new(text).ok());
        let read = serde_json::from_slice::<Several>(&self.body).ok();
        let read = read.map(|several| Summary {
            published: several.published,
            duplicates: several.duplicates,
            first_id: id(several.first_id),
            last_id: id(several.last_id),
        });
        read.filter(|summary| summary.stored() == events as u64)
            .ok_or_else(|| self.not_understood())
    }

    /// One event that travelled as a line.
    pub(super) fn published_by_line(self, id_is_ours: bool) -> Result<Published, PublishError> {
        let read = serde_json::from_slice::<Several>(&self.body).ok();
        let read = read.and_then(|several| {
            Some(Published {
                id: EventId::new(several.first_id?).ok()?,
                duplicate: several.published == 0 && !id_is_ours,
            })
        });
        read.ok_or_else(|| self.not_understood())
    }

    pub(super) fn not_understood(self) -> PublishError {
        PublishError::NotAHub(Box::new(Refusal {
            url: self.url,
            status: self.status,
            headers: self.headers,
            body: self.body,
            body_is_cut: false,
        }))
    }
}
