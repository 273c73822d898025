//! Checks whether a hub speaks the Mercure protocol, against any hub by its URL.
//!
//! Every check is one sentence that a client may rely on, with its section of the specification:
//! draft 7 for the dialect 0.x, draft 8 for 1.0. It passes, fails with what was seen instead, or is
//! skipped because the hub is not set up for it.
//!
//! The checks know nothing about a hub's implementation. They speak HTTP, sign tokens with the
//! hub's key, use unique topics, and leave the hub as they found it, except for some events in its
//! history.
//!
//! # Usage
//!
//! A [`Plan`] names the hub and its keys; [`run`] runs every [`Check`] of the requested dialects,
//! one after the other, and returns a [`Report`].

mod check;
mod checks;
mod client;
mod dialect;
mod ended;
mod event_stream;
mod limits;
mod plan;
mod report;
mod token;
mod world;

pub use check::{Check, Outcome};
pub use client::Unreachable;
pub use dialect::Dialect;
pub use plan::Plan;
pub use report::{Finding, Report};

use world::World;

/// Runs the checks of `dialects` against the hub of `plan`, and calls `seen` with each finding.
///
/// # Errors
///
/// [`Unreachable`] if there is no hub to check.
pub async fn run(
    plan: &Plan,
    dialects: &[Dialect],
    mut seen: impl FnMut(&Finding),
) -> Result<Report, Unreachable> {
    let world = World::new(plan)?;
    world.knock().await?;
    let mut findings = Vec::new();
    for &dialect in dialects {
        for check in checks::all().filter(|check| check.is_of(dialect)) {
            let outcome = check.run(&world, dialect).await;
            let finding = Finding::new(check, dialect, outcome);
            seen(&finding);
            findings.push(finding);
        }
    }
    Ok(Report { findings })
}
