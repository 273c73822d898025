//! epoll, eventfd and TCP's state of a peer.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use socket2::SockRef;

use super::Event;
use crate::limits::PEER_QUESTIONS;

/// Whether workers can own sockets here.
pub(crate) const SOCKETS: bool = true;

/// Sleeps until something happens. Edge-triggered: what is reported must be used up.
pub(crate) struct Poller {
    epoll: OwnedFd,
    bell: Bell,
}

/// Wakes the [`Poller`] it belongs to, from any thread.
#[derive(Clone)]
pub(crate) struct Bell(Arc<File>);

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let bell = Bell(Arc::new(File::from(bell)));
        let poller = Self { epoll, bell };
        poller.register(&*poller.bell.0, EventFlags::IN, BELL)?;
        Ok(poller)
    }

    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Reports on `socket` under `token` until it is closed.
    pub(crate) fn add(&self, socket: &TcpStream, token: u64) -> io::Result<()> {
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        self.register(socket, interest, token)
    }

    /// Sleeps for `timeout` at the most (`None`: for ever), and gives what happened to `happened`.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        happened: &mut Vec<Event>,
    ) -> io::Result<()> {
        // The kernel counts in milliseconds. `rustix` rounds up, so that a timer does not find
        // itself a moment early; more than the kernel can count is longer than any timer.
        let timeout = timeout.map(|timeout| timeout.min(WAIT_MAX));
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let mut buffer = [const { MaybeUninit::uninit() }; EVENTS_MAX];
        let events = match epoll::wait(&self.epoll, &mut buffer, timeout.as_ref()) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for event in events {
            let (token, flags) = (event.data.u64(), event.flags);
            if token == BELL {
                self.bell.silence();
                continue;
            }
            let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
            happened.push(Event {
                token,
                readable: broken || flags.intersects(EventFlags::IN | EventFlags::RDHUP),
                writable: broken || flags.contains(EventFlags::OUT),
                broken,
            });
        }
        Ok(())
    }

    fn register(&self, fd: impl AsFd, interest: EventFlags, token: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(token), interest)?)
    }
}

impl Bell {
    pub(crate) fn ring(&self) {
        // Fails only if it has been rung 2^64 - 2 times without being heard; then it rings already.
        let _ = (&*self.0).write(&1_u64.to_ne_bytes());
    }

    fn silence(&self) {
        // Fails only if it was not rung.
        let _ = (&*self.0).read(&mut [0; 8]);
    }
}

/// Makes `socket` ready for a worker: it never blocks, sends at once, and queues little in the
/// kernel.
pub(crate) fn prepare(socket: &TcpStream, unsent_bytes_max: u32) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)?;
    SockRef::from(socket).set_tcp_notsent_lowat(unsent_bytes_max)
}

/// Whether the peer's kernel has left [`PEER_QUESTIONS`] retransmissions or window probes in a row
/// unanswered, and has been silent for `patience`: it is gone, not slow. A slow peer's kernel keeps
/// answering.
pub(crate) fn has_vanished(socket: &TcpStream, patience: Duration) -> io::Result<bool> {
    // SAFETY: `tcp_info` is plain numbers, for which all zeroes are values.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `info`; both live through the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // Both counts go back to zero with every acknowledgement.
    let asked = info.tcpi_retransmits.max(info.tcpi_probes) >= PEER_QUESTIONS;
    Ok(asked && u128::from(info.tcpi_last_ack_recv) > patience.as_millis())
}

/// The token that no socket may have: the bell's.
const BELL: u64 = u64::MAX;

/// Events taken from the kernel at a time; 12 KiB of the stack.
const EVENTS_MAX: usize = 1024;

/// The longest sleep that the kernel can count.
const WAIT_MAX: Duration = Duration::from_millis(i32::MAX as u64);
