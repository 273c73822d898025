use std::collections::BTreeMap;

use tidings_store_shared::{Block, BlockHash, Content};
use tidings_testkit::shared_log::Engine;

/// The log as an observer sees it who knows all of the engine.
#[derive(Debug)]
pub(crate) struct Truth {
    /// The payload at each position.
    pub(crate) payloads: BTreeMap<u64, String>,
}

impl Truth {
    /// Follows the whole chain: a block counts if it names the one before it that counts.
    pub(crate) fn of(engine: &Engine) -> Self {
        let mut payloads = BTreeMap::new();
        let mut last = BlockHash::NONE;
        for (_, entry) in engine.observe() {
            let Ok(block) = Block::decode(&entry.block) else { continue };
            if block.prev != last {
                continue;
            }
            last = BlockHash::of(&entry.block);
            if let Content::Events(drafts) = block.content {
                let positions = block.first.get()..;
                payloads.extend(positions.zip(drafts.iter().map(|draft| draft.data.to_string())));
            }
        }
        Self { payloads }
    }

    /// Whether the event is in the log.
    pub(crate) fn has(&self, position: u64, payload: &str) -> bool {
        self.payloads.get(&position).is_some_and(|there| there == payload)
    }
}
