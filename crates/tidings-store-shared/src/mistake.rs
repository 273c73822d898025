//! Mistakes that tests plant, to see that they would be found, and places where they kill a
//! process.

#[cfg(test)]
use std::cell::{Cell, RefCell};

/// A mistake in how erasures are carried out, or in how a backup is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// The cursor passes an erasure that is noted nowhere else.
    CursorFirst,
    /// An erasure is taken off the list before it is carried out.
    ListFirst,
    /// A hub that is opened serves before it has carried out the erasures that it followed.
    ServedFirst,
    /// Records that came after an erasure are erased with those before it.
    NoEnd,
    /// An erasure that the log lost with its end is carried out all the same.
    LostStays,
    /// A cache that lacks no record is taken for one that lacks no erasure.
    TailTrusted,
    /// The cache is copied before the cursor.
    CacheBeforeCursor,
    /// The list of erasures is copied before the cursor.
    ListBeforeCursor,
    /// The name of the log is copied before the cursor.
    OriginBeforeCursor,
    /// It is not looked whether the hub changed its copy meanwhile.
    ChangesUnseen,
}

impl Mistake {
    /// Whether it was planted.
    #[cfg(not(test))]
    pub(crate) const fn is_planted(self) -> bool {
        false
    }
}

/// A place where tests kill the process.
#[cfg(not(test))]
pub(crate) const fn step() {}

/// A place between two steps of a backup, where tests let a hub do something.
#[cfg(not(test))]
pub(crate) const fn between() {}

#[cfg(test)]
thread_local! {
    static PLANTED: Cell<Option<Mistake>> = const { Cell::new(None) };
    /// Number of places that are passed before the process is killed.
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    /// What is done between two steps of a backup.
    static BETWEEN: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
}

#[cfg(test)]
impl Mistake {
    /// Those of erasures.
    pub(crate) const ALL: [Self; 6] = [
        Self::CursorFirst,
        Self::ListFirst,
        Self::ServedFirst,
        Self::NoEnd,
        Self::LostStays,
        Self::TailTrusted,
    ];

    pub(crate) const OF_BACKUPS: [Self; 4] = [
        Self::CacheBeforeCursor,
        Self::ListBeforeCursor,
        Self::OriginBeforeCursor,
        Self::ChangesUnseen,
    ];

    pub(crate) fn is_planted(self) -> bool {
        PLANTED.get() == Some(self)
    }

    /// Plants it in this thread, for as long as the answer is held.
    pub(crate) fn plant(self) -> impl Drop {
        struct Planted;
        impl Drop for Planted {
            fn drop(&mut self) {
                PLANTED.set(None);
            }
        }
        PLANTED.set(Some(self));
        Planted
    }
}

/// What a thread is killed by.
#[cfg(test)]
pub(crate) struct Killed;

/// Kills what this thread does next after this number of places.
#[cfg(test)]
pub(crate) fn kill_after(places: Option<u32>) {
    LEFT.set(places);
}

#[cfg(test)]
pub(crate) fn step() {
    match LEFT.get() {
        Some(0) => {
            LEFT.set(None);
            // No message: it is no failure of the test.
            std::panic::resume_unwind(Box::new(Killed));
        }
        left => LEFT.set(left.map(|left| left - 1)),
    }
}

/// Does this between the steps of backups in this thread, for as long as the answer is held.
#[cfg(test)]
pub(crate) fn do_between(act: impl FnMut() + 'static) -> impl Drop {
    struct Between;
    impl Drop for Between {
        fn drop(&mut self) {
            BETWEEN.set(None);
        }
    }
    BETWEEN.set(Some(Box::new(act)));
    Between
}

#[cfg(test)]
pub(crate) fn between() {
    if let Some(mut act) = BETWEEN.take() {
        act();
        BETWEEN.set(Some(act));
    }
}
