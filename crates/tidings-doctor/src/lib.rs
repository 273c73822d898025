//! What is wrong with an event stream, from where its subscribers are.
//!
//! It works with any event stream, by its URL, and knows nothing of how a hub is made.
//!
//! # How
//!
//! [`observe`] does everything that is done on the network: it listens as a program and as a
//! browser would, provokes events, comes back with the last id. What it makes of the bytes and
//! their times is the [`Watch`]. [`diagnose`] is pure: it says what follows from all that, and
//! which lines of a proxy's configuration change it.

mod diagnosis;
mod finding;
mod fixes;
mod observe;
mod probe;
mod watch;

pub use diagnosis::{diagnose, seconds};
pub use finding::{Diagnosis, Finding, Fix, Severity};
pub use observe::{Connection, Observed, Provoke, Published, observe};
pub use probe::{Asked, Head, NoAnswer};
pub use watch::Watch;
