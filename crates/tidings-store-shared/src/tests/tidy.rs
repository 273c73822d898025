//! A server that takes its time to say how much it holds, or to drop something.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tidings_hub::{Draft, Log as _, Timestamp, Topic};
use tidings_store_disk::{DiskConfig, Promise, Rule};

use super::memory_journal::MemoryJournal;
use crate::test_folder::TestFolder;
use crate::{
    AppendFault, Journal, JournalError, Nonce, Seq, SeqBounds, SharedConfig, SharedStore, Terms,
};

/// Time after which a server that nobody wakes answers all the same: the test has failed then.
const PATIENCE: Duration = Duration::from_secs(20);

/// Requests that are not answered for now.
#[derive(Default)]
struct Slow {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Default)]
struct State {
    is_slow: bool,
    /// Number of requests that wait.
    waiting: usize,
    /// Number of those that were answered because the patience was over.
    given_up: usize,
}

impl Slow {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        self.bell.notify_all();
        let (mut state, timeout) =
            self.bell.wait_timeout_while(state, PATIENCE, |state| state.is_slow).unwrap();
        state.waiting -= 1;
        state.given_up += usize::from(timeout.timed_out());
    }

    fn set(&self, is_slow: bool) {
        self.state.lock().unwrap().is_slow = is_slow;
        self.bell.notify_all();
    }

    fn wait_for_a_request(&self) {
        let waits = |state: &mut State| state.waiting == 0;
        let (state, timeout) =
            self.bell.wait_timeout_while(self.state.lock().unwrap(), PATIENCE, waits).unwrap();
        drop(state);
        assert!(!timeout.timed_out(), "nobody asks");
    }

    fn given_up(&self) -> usize {
        self.state.lock().unwrap().given_up
    }
}

/// A journal that is quick to store and to read blocks, and may be slow with everything else.
struct SlowJournal {
    inner: MemoryJournal,
    slow: Arc<Slow>,
}

impl Journal for SlowJournal {
    fn create(&mut self) -> Result<(), JournalError> {
        self.inner.create()
    }

    fn bounds(&mut self) -> Result<Option<SeqBounds>, JournalError> {
        self.slow.pass();
        self.inner.bounds()
    }

    fn append(
        &mut self,
        after: Seq,
        nonce: Nonce,
        block: &[u8],
        patience: Duration,
    ) -> Result<Seq, AppendFault> {
        self.inner.append(after, nonce, block, patience)
    }

    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        self.inner.read(after, bytes_max)
    }

    fn wait(&mut self, _: Seq, timeout: Duration) -> Result<(), JournalError> {
        std::thread::sleep(timeout);
        Ok(())
    }

    fn trim(&mut self, before: Seq) -> Result<(), JournalError> {
        self.slow.pass();
        self.inner.trim(before)
    }

    fn bytes(&mut self) -> Result<u64, JournalError> {
        self.slow.pass();
        self.inner.bytes()
    }

    fn terms(&mut self) -> Result<Option<Terms>, JournalError> {
        self.slow.pass();
        Ok(None)
    }

    fn block_bytes_max(&self) -> usize {
        self.inner.block_bytes_max()
    }
}

#[test]
fn publishers_do_not_wait_for_a_server_that_is_slow_to_say_what_it_holds() {
    let (folder, inner) = (TestFolder::new(), MemoryJournal::default());
    let slow = Arc::new(Slow::default());
    let journal = || Box::new(SlowJournal { inner: inner.clone(), slow: Arc::clone(&slow) });
    let last = Rule {
        name: "last".into(),
        topics: vec![tidings_hub::Matcher::All],
        age: None,
        bytes: None,
        promise: std::num::NonZeroU32::new(2).map(Promise::Last),
    };
    let config = SharedConfig {
        cache: DiskConfig { rules: vec![last], ..DiskConfig::new("") },
        create: true,
        trim_interval: Duration::ZERO,
        bell_patience: Duration::from_millis(10),
        ..SharedConfig::new(folder.path())
    };
    let hub = SharedStore::open(config, journal()).unwrap().following(journal(), journal());
    let hub = hub.unwrap();
    slow.set(true);
    for n in 1..=3 {
        let now = Timestamp::from_millis(n);
        // What the thread that appends does between two batches.
        hub.retain(now).unwrap();
        slow.wait_for_a_request();
        let draft = Draft::new(Topic::new("t").unwrap(), "x");
        assert_eq!(hub.append(vec![draft], now).unwrap()[0].position.get(), n);
    }
    assert_eq!(slow.given_up(), 0, "nobody waited for the server");
    slow.set(false);
    hub.wait_for_background();
}
