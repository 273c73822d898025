//! epoll, eventfd and TCP's state of a peer.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::Event;
use crate::limits::PEER_QUESTIONS;

/// Whether workers can own sockets here.
pub(crate) const SOCKETS: bool = true;

/// Sleeps until something happens. Edge-triggered: what is reported must be used up.
pub(crate) struct Poller {
    epoll: OwnedFd,
    bell: Bell,
    buffer: Vec<libc::epoll_event>,
}

/// Wakes the [`Poller`] it belongs to, from any thread.
#[derive(Clone)]
pub(crate) struct Bell(Arc<File>);

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers; the result is checked.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: `fd` was just made by the kernel for us alone.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: takes no pointers; the result is checked.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: `fd` was just made by the kernel for us alone.
        let bell = Bell(Arc::new(File::from(unsafe { OwnedFd::from_raw_fd(fd) })));
        let poller = Self { epoll, bell, buffer: Vec::with_capacity(EVENTS_MAX) };
        poller.register(&*poller.bell.0, libc::EPOLLIN as u32, BELL)?;
        Ok(poller)
    }

    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Reports on `socket` under `token` until it is closed.
    pub(crate) fn add(&self, socket: &TcpStream, token: u64) -> io::Result<()> {
        let interest = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        self.register(socket, interest as u32, token)
    }

    /// Sleeps for `timeout` at the most (`None`: for ever), and gives what happened to `happened`.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        happened: &mut Vec<Event>,
    ) -> io::Result<()> {
        let timeout_ms = match timeout {
            None => -1,
            // Rounded up, so that a timer does not find itself a moment early.
            Some(timeout) => {
                i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
            }
        };
        // SAFETY: the buffer has room for `EVENTS_MAX` entries, the number passed to the kernel; it
        // outlives the call.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                self.buffer.as_mut_ptr(),
                EVENTS_MAX as i32,
                timeout_ms,
            )
        };
        let count = match check(count) {
            Ok(count) => count as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        // SAFETY: the kernel has filled the first `count` entries, and `count <= EVENTS_MAX <=
        // capacity`.
        unsafe { self.buffer.set_len(count) };
        for event in &self.buffer {
            let (token, flags) = (event.u64, event.events);
            if token == BELL {
                self.bell.silence();
                continue;
            }
            let any = |wanted: i32| flags & wanted as u32 != 0;
            let broken = any(libc::EPOLLERR | libc::EPOLLHUP);
            happened.push(Event {
                token,
                readable: broken || any(libc::EPOLLIN | libc::EPOLLRDHUP),
                writable: broken || any(libc::EPOLLOUT),
                broken,
            });
        }
        Ok(())
    }

    fn register(&self, fd: &impl AsRawFd, interest: u32, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest, u64: token };
        // SAFETY: `event` lives through the call, which does not keep it; both descriptors are
        // open.
        check(unsafe {
            libc::epoll_ctl(
                self.epoll.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                fd.as_raw_fd(),
                &raw mut event,
            )
        })?;
        Ok(())
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
    let value = unsent_bytes_max as libc::c_int;
    // SAFETY: the kernel reads `size_of::<c_int>()` bytes from `value`, which lives through the
    // call.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_NOTSENT_LOWAT,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// Whether the peer's kernel has left [`PEER_QUESTIONS`] retransmissions or window probes in a row
/// unanswered, and has been silent for `patience`: it is gone, not slow. A slow peer's kernel keeps
/// answering.
pub(crate) fn has_vanished(socket: &TcpStream, patience: Duration) -> io::Result<bool> {
    // SAFETY: `tcp_info` is plain numbers, for which all zeroes are values.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `info`; both live through the call.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    })?;
    // Both counts go back to zero with every acknowledgement.
    let asked = info.tcpi_retransmits.max(info.tcpi_probes) >= PEER_QUESTIONS;
    Ok(asked && u128::from(info.tcpi_last_ack_recv) > patience.as_millis())
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The token that no socket may have: the bell's.
const BELL: u64 = u64::MAX;

/// Events taken from the kernel at a time.
const EVENTS_MAX: usize = 1024;
