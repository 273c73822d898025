//! Reading the bytes of a block.

use tidings_hub::Epoch;

/// Why bytes are not a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Something else wrote them, or they are damaged.
    NoBlock,
    /// A newer version of the program wrote them. They must not be skipped.
    Version(u16),
}

/// The rest of the bytes being decoded.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Unreadable::NoBlock)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Unreadable> {
        self.take().map(u64::from_le_bytes)
    }

    pub(crate) fn text(&mut self, bytes: usize) -> Result<&'a str, Unreadable> {
        let (text, rest) = self.0.split_at_checked(bytes).ok_or(Unreadable::NoBlock)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Unreadable::NoBlock)
    }

    pub(crate) fn epoch(&mut self) -> Result<Epoch, Unreadable> {
        Epoch::parse(self.text(Epoch::LENGTH)?).map_err(|_| Unreadable::NoBlock)
    }
}
