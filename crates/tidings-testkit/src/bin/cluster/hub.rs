//! A hub. Between it and each server of NATS there is a proxy.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http::{Method, StatusCode};
use tidings_testkit::proxy::{Direction, Flow, Proxy};
use tidings_testkit::transcript::Seen;

use crate::client::Client;
use crate::process::Process;
use crate::servers::Servers;

/// The topic of every event.
pub(crate) const PATH: &str = "/events/t";

/// Events on a page of history.
const PAGE_EVENTS: usize = 1000;

/// A hub.
pub(crate) struct Hub {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) data: PathBuf,
    /// The program that it is from its next restart on.
    pub(crate) next: PathBuf,
    links: Vec<Proxy>,
}

impl Hub {
    /// Starts `program` with its data in `folder`.
    pub(crate) fn start(
        program: &Path,
        folder: &Path,
        number: usize,
        address: SocketAddr,
        servers: &Servers,
    ) -> io::Result<Self> {
        let links: io::Result<Vec<_>> =
            servers.addresses.iter().copied().map(Proxy::start).collect();
        let links = links?;
        let urls: Vec<_> = links.iter().map(|link| format!("nats://{}", link.address())).collect();
        let data = folder.join(format!("hub{number}"));
        let mut command: Vec<OsString> = vec![program.into(), "serve".into()];
        command.extend(["--listen".into(), address.to_string().into()]);
        command.extend(["--data".into(), data.clone().into()]);
        command.extend(["--store".into(), "nats".into(), "--store-url".into()]);
        command.push(urls.join(",").into());
        if number == 0 {
            command.push("--cluster-create".into());
        }
        command.extend(["--retention-bytes".into(), "4GiB".into()]);
        if servers.is_old() || servers.addresses.len() < 3 {
            command.push("--store-unsafe".into());
        }
        let mut process = Process::new(command, folder.join(format!("hub{number}.log")));
        process.start()?;
        Ok(Self { process, address, data, next: program.to_owned(), links })
    }

    /// Whether its next restart makes it another program.
    pub(crate) fn is_to_be_upgraded(&self) -> bool {
        self.process.program() != self.next
    }

    /// Starts it as what it is to be next.
    pub(crate) fn start_next(&mut self) -> io::Result<()> {
        self.process.set_program(&self.next);
        self.process.start()
    }

    /// Whether `/readyz` says so, with `query`.
    pub(crate) async fn is_ready(&self, query: &str) -> bool {
        let answer =
            Client::new(self.address).send(Method::GET, &format!("/readyz{query}"), &[], "").await;
        answer.is_ok_and(|(status, _)| status == StatusCode::OK)
    }

    /// Changes what passes to and from the servers.
    pub(crate) fn set_links(&self, direction: Direction, flow: Flow) {
        for link in &self.links {
            link.set(direction, flow);
        }
    }

    /// Closes all connections to the servers, and new ones.
    pub(crate) fn cut(&self) {
        for link in &self.links {
            link.cut();
        }
    }

    /// The servers are reached again.
    pub(crate) fn mend(&self) {
        for link in &self.links {
            link.mend();
        }
    }

    /// Everything that it shows of the topic; `None` if it answers with anything else.
    pub(crate) async fn log(&self) -> Option<Vec<Seen>> {
        let mut client = Client::new(self.address);
        let mut log = Vec::new();
        let mut after = String::new();
        loop {
            let page = client.get(&format!("{PATH}?limit={PAGE_EVENTS}{after}")).await?;
            let events = page["events"].as_array()?;
            if events.is_empty() {
                return Some(log);
            }
            for event in events {
                log.push(Seen::parse(event["id"].as_str()?, event["data"].as_str()?)?);
            }
            after = format!("&after={}", page["next"].as_str()?);
        }
    }
}
