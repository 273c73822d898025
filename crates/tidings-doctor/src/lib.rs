//! Diagnoses an event stream from where its subscribers are.
//!
//! It works with any event stream, by its URL, and knows nothing about the server's implementation.
//!
//! # How it works
//!
//! [`observe`] does everything on the network: it listens as a program and as a browser would,
//! publishes events, and reconnects with the last id. [`Watch`] interprets the bytes and their
//! times. [`diagnose`] is pure: it draws the conclusions, and names the lines of a proxy's
//! configuration to change.

mod certificate;
mod diagnosis;
mod finding;
mod fixes;
mod observe;
mod probe;
mod watch;

pub use certificate::Certificate;
pub use diagnosis::{diagnose, seconds};
pub use finding::{Diagnosis, Finding, Fix, Severity};
pub use observe::{Connection, Observed, Provoke, Published, observe};
pub use probe::{Asked, Head, NoAnswer};
pub use watch::Watch;
