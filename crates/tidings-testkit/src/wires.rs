//! Wires between hubs, in memory, which can be cut.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_hub::{Heard, Wire};

/// The wires of all hubs on one log.
#[derive(Clone, Default)]
pub struct Wires(Arc<Mutex<Vec<End>>>);

#[derive(Default)]
struct End {
    heard: Option<Heard>,
    is_cut: bool,
}

impl Wires {
    /// A wire for another hub.
    pub fn wire(&self) -> Arc<dyn Wire> {
        let mut ends = self.lock();
        ends.push(End::default());
        Arc::new(MemoryWire { wires: self.clone(), number: ends.len() - 1 })
    }

    /// Cuts the wire that was made as `number`, or mends it: nothing arrives either way.
    pub fn cut(&self, number: usize, is_cut: bool) {
        self.lock()[number].is_cut = is_cut;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<End>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Wires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wires").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct MemoryWire {
    wires: Wires,
    number: usize,
}

impl Wire for MemoryWire {
    fn say(&self, message: Vec<u8>) {
        let ends = self.wires.lock();
        if ends[self.number].is_cut {
            return;
        }
        // Also to itself, as a wire may.
        for heard in ends.iter().filter(|end| !end.is_cut).filter_map(|end| end.heard.as_ref()) {
            heard(&message);
        }
    }

    fn listen(&self, heard: Heard) {
        self.wires.lock()[self.number].heard = Some(heard);
    }

    fn is_connected(&self) -> bool {
        !self.wires.lock()[self.number].is_cut
    }
}
