//! The keys of session tickets (RFC 8446 §2.2), where they outlive the process.
//!
//! By themselves, tickets are sealed with a key that only this process has, so after a restart
//! every client makes a full handshake, with a signature. With keys from outside, a ticket is good
//! after a restart, and at every node that has the same keys.
//!
//! Two keys are accepted, and one of them seals. A new key seals only once every node has had time
//! to read it ([`TICKET_KEY_GRACE`]). Whoever steals a key can read the state in tickets that were
//! sealed with it, but not the connections that were resumed with them: those have key shares of
//! their own.

use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use rustls::server::ProducesTickets;

use crate::limits::{TICKET_KEY_AGE_MAX, TICKET_KEY_GRACE, TICKET_KEYS_MAX};

/// Keys of session tickets, the newest first, as a file holds them: for each a line with the time
/// at which it was made, in seconds since 1970, and 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketKeys(Vec<Key>);

#[derive(Clone, PartialEq, Eq)]
struct Key {
    made: SystemTime,
    secret: [u8; 32],
}

impl TicketKeys {
    /// One key.
    pub fn new(now: SystemTime, secret: [u8; 32]) -> Self {
        Self(vec![Key { made: now, secret }])
    }

    /// Reads the text of a file. Lines that begin with `#` are comments.
    ///
    /// # Errors
    ///
    /// [`TicketKeysError`]: a line is no key, or there is none.
    pub fn parse(text: &str) -> Result<Self, TicketKeysError> {
        let mut keys = Vec::new();
        for (place, line) in text.lines().map(str::trim).enumerate() {
            if !line.is_empty() && !line.starts_with('#') {
                keys.push(Key::parse(line).ok_or(TicketKeysError::Line(place + 1))?);
            }
        }
        keys.sort_by_key(|key| std::cmp::Reverse(key.made));
        keys.truncate(TICKET_KEYS_MAX);
        if keys.is_empty() { Err(TicketKeysError::Empty) } else { Ok(Self(keys)) }
    }

    /// The text of a file with these keys.
    pub fn to_text(&self) -> String {
        let mut text = "# Keys of TLS session tickets. Keep them secret.\n".to_owned();
        for Key { made, secret } in &self.0 {
            let made = made.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let _ = write!(text, "{made} ");
            for byte in secret {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        text
    }

    /// Whether it is time for another key.
    pub fn is_outdated(&self, now: SystemTime) -> bool {
        let made = self.0[0].made;
        match now.duration_since(made) {
            Ok(age) => age >= TICKET_KEY_AGE_MAX,
            // By a clock that was far ahead; it must not keep the key for ever.
            Err(ahead) => ahead.duration() > TICKET_KEY_AGE_MAX,
        }
    }

    /// These keys with a new one, and without the oldest.
    #[must_use]
    pub fn rotated(&self, now: SystemTime, secret: [u8; 32]) -> Self {
        let kept = self.0.iter().filter(|key| key.made <= now).take(TICKET_KEYS_MAX - 1);
        let new = Key { made: now, secret };
        Self([&new].into_iter().chain(kept).cloned().collect())
    }

    /// The place of the key that seals: the newest that every node has had time to read.
    fn sealing(&self, now: SystemTime) -> usize {
        let is_known =
            |key: &Key| now.duration_since(key.made).is_ok_and(|age| age >= TICKET_KEY_GRACE);
        self.0.iter().position(is_known).unwrap_or(self.0.len() - 1)
    }
}

impl Key {
    fn parse(line: &str) -> Option<Self> {
        let (made, digits) = line.split_once(' ')?;
        let made = UNIX_EPOCH.checked_add(Duration::from_secs(made.parse().ok()?))?;
        let digits = digits.trim_start();
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut secret = [0; 32];
        for (place, byte) in secret.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).ok()?;
        }
        Some(Self { made, secret })
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys").field("count", &self.0.len()).finish_non_exhaustive()
    }
}

/// Why a text holds no ticket keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TicketKeysError {
    /// There is no key in it.
    Empty,
    /// The line with this number is no key.
    Line(usize),
}

impl fmt::Display for TicketKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no key in it"),
            Self::Line(number) => {
                write!(f, "line {number} is not a time in seconds and 64 hexadecimal digits")
            }
        }
    }
}

impl std::error::Error for TicketKeysError {}

/// Seals tickets and opens them.
pub(super) struct Tickets {
    /// With keys that only this process has.
    own: Arc<dyn ProducesTickets>,
    /// With keys from outside, which go before.
    shared: RwLock<Option<Arc<Sealers>>>,
}

struct Sealers {
    keys: Vec<Sealer>,
    sealing: usize,
}

struct Sealer {
    name: [u8; NAME_LEN],
    key: RandomizedNonceKey,
}

impl Tickets {
    pub(super) fn new(own: Arc<dyn ProducesTickets>) -> Self {
        Self { own, shared: RwLock::new(None) }
    }

    pub(super) fn share(&self, keys: &TicketKeys, now: SystemTime) {
        let sealers = keys.0.iter().filter_map(|key| Sealer::new(&key.secret));
        let sealers = Sealers { keys: sealers.collect(), sealing: keys.sealing(now) };
        *self.shared.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(sealers));
    }

    fn shared(&self) -> Option<Arc<Sealers>> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        match self.shared() {
            // The key that sealed a ticket is accepted for as long again as it seals.
            Some(_) => TICKET_KEY_AGE_MAX.as_secs() as u32,
            None => self.own.lifetime(),
        }
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        match self.shared() {
            Some(sealers) => sealers.keys.get(sealers.sealing)?.seal(plain),
            None => self.own.encrypt(plain),
        }
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        match self.shared() {
            Some(sealers) => sealers.keys.iter().find_map(|key| key.open(ticket)),
            None => self.own.decrypt(ticket),
        }
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

/// A ticket is the name of its key, a nonce, and the state sealed with AES-256-GCM.
impl Sealer {
    fn new(secret: &[u8; 32]) -> Option<Self> {
        let named = [b"tidings ticket key", &secret[..]].concat();
        let name = digest(&SHA256, &named).as_ref()[..NAME_LEN].try_into().ok()?;
        Some(Self { name, key: RandomizedNonceKey::new(&AES_256_GCM, secret).ok()? })
    }

    fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = plain.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(self.name), &mut sealed).ok()?;
        Some([&self.name[..], nonce.as_ref(), &sealed].concat())
    }

    fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME_LEN)?;
        if name != self.name {
            return None;
        }
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let plain = self.key.open_in_place(nonce, Aad::from(self.name), &mut sealed).ok()?;
        Some(plain.to_vec())
    }
}

/// Bytes of a key's name.
const NAME_LEN: usize = 16;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rustls::crypto::aws_lc_rs::Ticketer;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn tickets(keys: &TicketKeys, now: SystemTime) -> Tickets {
        let tickets = Tickets::new(Ticketer::new().unwrap());
        tickets.share(keys, now);
        tickets
    }

    #[test]
    fn keys_are_the_same_after_they_were_written_and_read() {
        let keys = TicketKeys::new(at(1000), [0xa5; 32]).rotated(at(30_000), [7; 32]);
        assert_eq!(TicketKeys::parse(&keys.to_text()), Ok(keys.clone()));
        let reversed: Vec<_> = keys.to_text().lines().rev().map(str::to_owned).collect();
        assert_eq!(TicketKeys::parse(&reversed.join("\n")), Ok(keys));
    }

    #[test]
    fn a_text_that_holds_no_keys_is_named_by_its_line() {
        for text in ["", "# nothing\n", "\n\n"] {
            assert_eq!(TicketKeys::parse(text), Err(TicketKeysError::Empty), "{text:?}");
        }
        let good = format!("5 {}", "ab".repeat(32));
        for line in [
            "x",
            "5",
            "5 ab",
            &"ab".repeat(32),
            &format!("-5 {}", "ab".repeat(32)),
            &format!("5 {}", "éa".repeat(21) + "a"),
            &format!("{} {}", u64::MAX, "ab".repeat(32)),
        ] {
            let text = format!("{good}\n{line}\n");
            assert_eq!(TicketKeys::parse(&text), Err(TicketKeysError::Line(2)), "{line:?}");
        }
    }

    #[test]
    fn a_ticket_is_good_at_every_process_with_the_same_keys_and_at_no_other() {
        let keys = TicketKeys::new(at(0), [1; 32]);
        let (here, there) = (tickets(&keys, at(10)), tickets(&keys, at(10)));
        let ticket = here.encrypt(b"state").unwrap();
        assert_eq!(there.decrypt(&ticket).as_deref(), Some(&b"state"[..]));
        let other = tickets(&TicketKeys::new(at(0), [2; 32]), at(10));
        assert_eq!(other.decrypt(&ticket), None);
        for place in 0..ticket.len() {
            let mut damaged = ticket.clone();
            damaged[place] ^= 1;
            assert_eq!(there.decrypt(&damaged), None, "byte {place}");
            assert_eq!(there.decrypt(&ticket[..place]), None, "{place} bytes");
        }
    }

    /// Three nodes that read the file at different times, over two days.
    #[test]
    fn while_keys_rotate_a_ticket_that_is_not_too_old_is_good_at_every_node() {
        let step = TICKET_KEY_GRACE / 4;
        let mut file = TicketKeys::new(at(0), [0; 32]);
        let mut nodes = vec![file.clone(); 3];
        let mut sealed: Vec<(SystemTime, Vec<u8>)> = Vec::new();
        let mut now = at(0);
        let mut rotations = 0_u8;
        while now < at(2 * 24 * 3600) {
            now += step;
            if file.is_outdated(now) {
                rotations += 1;
                file = file.rotated(now, [rotations; 32]);
            }
            // Each node is up to three quarters of the grace behind.
            let turn =
                (now.duration_since(UNIX_EPOCH).unwrap().as_secs() / step.as_secs()) as usize;
            nodes[turn % 3] = file.clone();
            let young = |(then, _): &(SystemTime, Vec<u8>)| {
                now.duration_since(*then).unwrap() < TICKET_KEY_AGE_MAX - TICKET_KEY_GRACE
            };
            sealed.retain(young);
            let all: Vec<_> = nodes.iter().map(|keys| tickets(keys, now)).collect();
            for (_, ticket) in sealed.iter().step_by(97) {
                assert!(all.iter().all(|node| node.decrypt(ticket).is_some()));
            }
            let fresh = all[turn % 2].encrypt(b"state").unwrap();
            assert!(all.iter().all(|node| node.decrypt(&fresh).is_some()), "after {rotations}");
            sealed.push((now, fresh));
        }
        assert_eq!(rotations, 8);
        assert_eq!(file.0.len(), TICKET_KEYS_MAX);
    }

    #[test]
    fn a_key_of_a_clock_that_was_ahead_is_replaced() {
        let keys = TicketKeys::new(at(1_000_000), [1; 32]);
        assert!(!keys.is_outdated(at(1_000_000 - 60)), "clocks of two nodes differ a little");
        assert!(keys.is_outdated(at(1000)));
        let keys = keys.rotated(at(1000), [2; 32]);
        assert_eq!(keys, TicketKeys::new(at(1000), [2; 32]));
    }
}
