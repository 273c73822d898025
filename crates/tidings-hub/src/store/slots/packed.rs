use std::collections::HashMap;

use crate::draft::Kind;
use crate::position::Position;

use super::{Growing, SlotHash};

/// A position, whether the slot is a key, whether the record removed it, and whether it is a piece.
/// Eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed(u64);

const IS_PIECE: u64 = 1 << 61;
const IS_KEY: u64 = 1 << 62;
const IS_REMOVAL: u64 = 1 << 63;
const FLAGS: u64 = IS_PIECE | IS_KEY | IS_REMOVAL;

impl Packed {
    pub(super) fn of(kind: Kind, is_key: bool, is_piece: bool, position: Position) -> Self {
        let key = if is_key { IS_KEY } else { 0 };
        let removal = if kind.is_removal() { IS_REMOVAL } else { 0 };
        let piece = if is_piece { IS_PIECE } else { 0 };
        Self(position.get() | key | removal | piece)
    }

    pub(super) fn position(self) -> Position {
        Position::new(self.0 & !FLAGS)
    }

    pub(super) fn is_piece(self) -> bool {
        self.0 & IS_PIECE != 0
    }

    pub(super) fn is_key(self) -> bool {
        self.0 & IS_KEY != 0
    }

    pub(super) fn is_removal(self) -> bool {
        self.0 & IS_REMOVAL != 0
    }

    /// Whether it is a key that has a value, all of which is there.
    pub(super) fn has_value(
        self,
        slot: &SlotHash,
        growing: &HashMap<SlotHash, Growing, foldhash::fast::RandomState>,
    ) -> bool {
        self.is_key() && !self.is_removal() && (!self.is_piece() || growing.contains_key(slot))
    }
}
