//! The plain server's events: the last few, and a way to wait for the next.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use tokio::sync::{broadcast, watch};

/// Number of events by which a poller may be behind.
const KEPT: usize = 1000;

pub struct Feed {
    kept: Mutex<VecDeque<(u64, Bytes)>>,
    pub head: watch::Sender<u64>,
    pub live: broadcast::Sender<(u64, Bytes)>,
}

impl Feed {
    pub fn new() -> Self {
        Self {
            kept: Mutex::default(),
            head: watch::Sender::new(0),
            live: broadcast::channel(KEPT).0,
        }
    }

    pub fn publish(&self, data: Bytes) {
        let mut kept = self.kept.lock().expect("no thread panics while it holds the lock");
        let id = *self.head.borrow() + 1;
        kept.push_back((id, data.clone()));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        let _ = self.live.send((id, data));
        self.head.send_replace(id);
    }

    /// `{"next": 7, "events": ["…"]}`: the events after `after`.
    pub fn page(&self, after: u64) -> String {
        let kept = self.kept.lock().expect("no thread panics while it holds the lock");
        let mut page = format!("{{\"next\": {}, \"events\": [", *self.head.borrow());
        for (place, (_, data)) in kept.iter().filter(|(id, _)| *id > after).enumerate() {
            if place > 0 {
                page.push_str(", ");
            }
            page.push('"');
            page.push_str(&String::from_utf8_lossy(data));
            page.push('"');
        }
        page.push_str("]}\n");
        page
    }
}
