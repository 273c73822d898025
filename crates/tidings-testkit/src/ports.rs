//! Ports for programs that listen where a test says, or on which nothing must listen.
//!
//! A port that the system chose, and that is closed again so that a program can have it, may be
//! given to someone else in between: to another test, or to any outgoing connection of the machine.
//! That cost one test run in some dozens. So these ports are below those that a system chooses
//! from, and no two processes choose from the same ones: each holds a block of them, by listening
//! on the first port of the block for as long as it lives. `tests/ports.js` and `tests/ports.py` do
//! the same.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// The first port of all, and the one after the last: Linux chooses from 32,768 on, other systems
/// from 49,152 on.
const ALL: std::ops::Range<u16> = 10_000..32_000;
/// The ports of a block, with the one that says whose it is.
const BLOCK: u16 = 100;

/// What this process has.
static OURS: Mutex<Ours> = Mutex::new(Ours { claims: Vec::new(), next: 0, end: 0 });

struct Ours {
    /// One for each block, held until the process ends.
    claims: Vec<TcpListener>,
    next: u16,
    end: u16,
}

/// A port of loopback that this process has not had before, and no other one asks for.
///
/// # Panics
///
/// If every block is taken.
#[must_use]
pub fn free() -> u16 {
    let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if ours.next == ours.end {
            let (claim, first) = claim();
            ours.claims.push(claim);
            (ours.next, ours.end) = (first + 1, first + BLOCK);
        }
        let port = ours.next;
        ours.next += 1;
        // Somebody's own server may be there.
        if listen(port).is_some() {
            return port;
        }
    }
}

/// The same, as an address.
#[must_use]
pub fn address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free()).into()
}

/// A block that is now this process's.
fn claim() -> (TcpListener, u16) {
    let blocks = (ALL.end - ALL.start) / BLOCK;
    // Processes begin at different blocks, so that each has one at once.
    let begin = std::process::id() % u32::from(blocks);
    (0..blocks)
        .map(|step| ALL.start + (begin as u16 + step) % blocks * BLOCK)
        .find_map(|first| Some((listen(first)?, first)))
        .expect("a block of ports that no other process has")
}

fn listen(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
}
