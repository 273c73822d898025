//! Whether a hub speaks the Mercure protocol: checks that run against any hub by its URL.
//!
//! Every check is one sentence of what a client may rely on, with the section of the specification
//! it comes from: draft 7 for the dialect 0.x, draft 8 for 1.0. It passes, fails with what was seen
//! instead, or is skipped because the hub is not set up for it.
//!
//! The checks know nothing of how a hub is made. They speak HTTP, mint tokens with the key that the
//! hub was given, use topics that nobody else has, and leave the hub as they found it, but for some
//! events in its history.
//!
//! # How
//!
//! A [`Plan`] says which hub and with which keys; [`run`] tries every [`Check`] of the dialects
//! asked for, one after the other, and gives a [`Report`].

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

/// Runs the checks of `dialects` against the hub of `plan`, and tells `seen` of each finding as it
/// comes.
///
/// # Errors
///
/// [`Unreachable`] if there is no hub to be checked.
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
