//! The servers, the hubs, and what keeps them running.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::hub::Hub;
use crate::process::Process;
use crate::servers::{Servers, free_addresses};

/// Interval at which something awaited is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Time for anything to become well again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The servers and the hubs.
pub(crate) struct World {
    pub(crate) servers: Servers,
    pub(crate) hubs: Vec<Hub>,
    pub(crate) folder: PathBuf,
    /// Hubs that ended by themselves: which, and how.
    pub(crate) ended: Vec<String>,
}

/// Programs, and how many of them.
pub(crate) struct Size<'a> {
    pub(crate) nats: &'a Path,
    pub(crate) tidings: &'a Path,
    /// What the hubs run until they are restarted, if it is another program.
    pub(crate) before: Option<&'a Path>,
    pub(crate) servers: usize,
    pub(crate) hubs: usize,
}

impl World {
    /// Starts everything in `folder`, and waits until it is ready.
    pub(crate) async fn start(size: &Size<'_>, folder: PathBuf) -> Result<Self, String> {
        let servers = Servers::start(size.nats, &folder, size.servers).map_err(words)?;
        // A hub that starts before there is a leader for new streams waits for it, too.
        let mut world = Self { servers, hubs: Vec::new(), folder, ended: Vec::new() };
        for address in free_addresses(size.hubs) {
            world.add_hub(size.before.unwrap_or(size.tidings), address).map_err(words)?;
            world.hubs.last_mut().expect("it was added").next = size.tidings.to_owned();
            let number = world.hubs.len() - 1;
            world.ready(number, "?for=publish").await?;
        }
        Ok(world)
    }

    fn add_hub(&mut self, program: &Path, address: SocketAddr) -> io::Result<()> {
        let number = self.hubs.len();
        let hub = Hub::start(program, &self.folder, number, address, &self.servers)?;
        self.hubs.push(hub);
        Ok(())
    }

    /// Where clients connect.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.hubs.iter().map(|hub| hub.address).collect()
    }

    /// Waits until the hub `number` is ready, and returns how long that took.
    pub(crate) async fn ready(&mut self, number: usize, query: &str) -> Result<Duration, String> {
        let began = Instant::now();
        while !self.hubs[number].is_ready(query).await {
            if began.elapsed() > PATIENCE {
                return Err(format!("hub {number} is not ready within {PATIENCE:?} ({query})"));
            }
            self.supervise().map_err(words)?;
            sleep(LOOK_INTERVAL).await;
        }
        Ok(began.elapsed())
    }

    /// Waits until all hubs take events.
    pub(crate) async fn all_ready(&mut self) -> Result<(), String> {
        for number in 0..self.hubs.len() {
            self.ready(number, "?for=publish").await?;
        }
        Ok(())
    }

    /// Keeps a copy of what the servers have stored.
    pub(crate) async fn copy_engine(&mut self) -> Result<(), String> {
        self.change_engine("cp -a {data} {copy}").await?;
        self.all_ready().await
    }

    /// Puts the copy in the place of what they have.
    pub(crate) async fn put_engine_back(&mut self) -> Result<(), String> {
        self.change_engine("rm -rf {data} && mv {copy} {data}").await?;
        self.all_ready().await
    }

    /// Stops all servers, runs `command` for the data of each, and starts them again.
    async fn change_engine(&mut self, command: &str) -> Result<(), String> {
        self.servers.processes.iter_mut().for_each(Process::kill);
        for number in 0..self.servers.processes.len() {
            let data = self.servers.data(number).display().to_string();
            let copy = format!("{data}.copy");
            let command = command.replace("{copy}", &copy).replace("{data}", &data);
            let status = Command::new("sh").args(["-c", &command]).status();
            if !status.is_ok_and(|status| status.success()) {
                return Err(format!("failed: {command}"));
            }
            self.servers.processes[number].start().map_err(words)?;
        }
        Ok(())
    }

    /// Starts hubs again that ended by themselves, as systemd would.
    pub(crate) fn supervise(&mut self) -> io::Result<()> {
        for (number, hub) in self.hubs.iter_mut().enumerate() {
            if let Some(status) = hub.process.ended() {
                self.ended.push(format!("hub {number}: {status}"));
                hub.process.start()?;
            }
        }
        Ok(())
    }
}

fn words(error: io::Error) -> String {
    error.to_string()
}
