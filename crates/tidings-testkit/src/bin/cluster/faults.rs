//! What is done to servers and hubs, one after the other.

use std::fmt;
use std::fs;
use std::time::Duration;

use tidings_testkit::proxy::{Direction, Flow};
use tidings_testkit::store_suite::Dice;
use tokio::time::{Instant, sleep};

use crate::world::World;

/// Something that is done, and undone after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// SIGKILL of the server that leads the stream.
    LeaderKilled,
    /// SIGSTOP of it.
    LeaderPaused,
    /// It reaches no other server, and clients reach it.
    LeaderIsolated,
    /// SIGKILL of all servers.
    EngineGone { seconds: u64 },
    /// SIGKILL of a hub.
    HubKilled,
    /// SIGTERM of a hub, as in an upgrade.
    HubRestarted,
    /// A hub leaves, and another one without a copy of the log comes in its place.
    HubReplaced,
    /// A hub reaches no server.
    HubCut { how: Cut, seconds: u64 },
    /// A hub gets what the servers send later.
    HubLags { milliseconds: u64 },
}

/// How a hub is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Cut {
    /// Connections are closed, and refused.
    Closed,
    /// Nothing passes, and neither side notices.
    Silent,
    /// What the hub sends arrives, and no answer comes back.
    Deaf,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaderKilled => f.write_str("leader killed"),
            Self::LeaderPaused => f.write_str("leader paused for 10 s"),
            Self::LeaderIsolated => f.write_str("leader cut off from the others for 20 s"),
            Self::EngineGone { seconds } => write!(f, "all servers killed for {seconds} s"),
            Self::HubKilled => f.write_str("hub killed"),
            Self::HubRestarted => f.write_str("hub restarted"),
            Self::HubReplaced => f.write_str("hub replaced"),
            Self::HubCut { how, seconds } => {
                let how = match how {
                    Cut::Closed => "closed",
                    Cut::Silent => "silent",
                    Cut::Deaf => "deaf",
                };
                write!(f, "hub cut off for {seconds} s ({how})")
            }
            Self::HubLags { .. } => f.write_str("hub up to 5 s behind"),
        }
    }
}

/// A fault that was, and what it did.
#[derive(Debug)]
pub(crate) struct Struck {
    pub(crate) fault: Fault,
    /// The hub, if it was done to one.
    pub(crate) hub: usize,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
}

impl Fault {
    /// Time that subscribers have at least until the next one.
    pub(crate) fn rest(self) -> Duration {
        match self {
            // Servers must have caught up, or the next one would leave no majority.
            Self::LeaderKilled | Self::LeaderPaused | Self::LeaderIsolated => {
                Duration::from_secs(4)
            }
            Self::HubLags { .. } => Duration::from_millis(200),
            _ => Duration::from_secs(1),
        }
    }

    /// Does it, undoes it, and waits until all hubs take events again.
    pub(crate) async fn strike(self, world: &mut World, dice: &mut Dice) -> Result<Struck, String> {
        let began = Instant::now();
        let mut hub = dice.below(world.hubs.len() as u64) as usize;
        match self {
            Self::LeaderKilled => {
                let leader = world.servers.leader().await;
                world.servers.processes[leader].kill();
                sleep(Duration::from_secs(4)).await;
                start(&mut world.servers.processes[leader])?;
            }
            Self::LeaderPaused => {
                let leader = world.servers.leader().await;
                world.servers.processes[leader].pause();
                sleep(Duration::from_secs(10)).await;
                world.servers.processes[leader].resume();
            }
            Self::LeaderIsolated => {
                world.servers.isolate(world.servers.leader().await);
                sleep(Duration::from_secs(20)).await;
                world.servers.mend();
            }
            Self::EngineGone { seconds } => {
                world.servers.processes.iter_mut().for_each(crate::process::Process::kill);
                let until = Instant::now() + Duration::from_secs(seconds);
                while Instant::now() < until {
                    // Subscribers are served meanwhile.
                    for number in 0..world.hubs.len() {
                        world.ready(number, "").await?;
                    }
                    sleep(Duration::from_secs(1)).await;
                }
                world.servers.processes.iter_mut().try_for_each(start)?;
            }
            Self::HubKilled => {
                world.hubs[hub].process.kill();
                sleep(Duration::from_secs(2)).await;
                start(&mut world.hubs[hub].process)?;
            }
            Self::HubRestarted => {
                // A new program first for those that do not have it.
                let old = world.hubs.iter().position(crate::hub::Hub::is_to_be_upgraded);
                hub = old.unwrap_or(hub);
                world.hubs[hub].process.end().await?;
                world.hubs[hub].start_next().map_err(|error| error.to_string())?;
            }
            Self::HubReplaced => {
                // The first one may create the log.
                hub = 1 + dice.below(world.hubs.len() as u64 - 1) as usize;
                let leaver = &mut world.hubs[hub];
                leaver.process.end().await?;
                fs::remove_dir_all(&leaver.data).map_err(|error| error.to_string())?;
                sleep(Duration::from_secs(5)).await;
                leaver.start_next().map_err(|error| error.to_string())?;
            }
            Self::HubCut { how, seconds } => {
                let hub = &world.hubs[hub];
                match how {
                    Cut::Closed => hub.cut(),
                    Cut::Silent => {
                        hub.set_links(Direction::ToTarget, Flow::Paused);
                        hub.set_links(Direction::ToClient, Flow::Paused);
                    }
                    Cut::Deaf => hub.set_links(Direction::ToClient, Flow::Paused),
                }
                sleep(Duration::from_secs(seconds)).await;
                hub.mend();
            }
            Self::HubLags { milliseconds } => {
                let hub = &world.hubs[hub];
                hub.set_links(Direction::ToClient, Flow::Paused);
                sleep(Duration::from_millis(milliseconds)).await;
                hub.mend();
            }
        }
        world.all_ready().await?;
        Ok(Struck { fault: self, hub, began, ended: Instant::now() })
    }
}

fn start(process: &mut crate::process::Process) -> Result<(), String> {
    process.start().map_err(|error| error.to_string())
}

/// The faults of a plan, in the order of `dice`.
pub(crate) fn shuffled(counts: &[(Fault, usize)], dice: &mut Dice) -> Vec<Fault> {
    let mut faults: Vec<_> =
        counts.iter().flat_map(|(fault, count)| vec![*fault; *count]).collect();
    for last in (1..faults.len()).rev() {
        faults.swap(last, dice.below(last as u64 + 1) as usize);
    }
    faults
}
