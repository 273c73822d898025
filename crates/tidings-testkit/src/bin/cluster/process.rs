//! A program that can be killed, stopped, and started again.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Time that a program has to end.
const END_PATIENCE: Duration = Duration::from_secs(30);

/// A program; killed when it is dropped.
pub(crate) struct Process {
    command: Vec<OsString>,
    /// Where its output goes.
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// A program that is not started yet.
    pub(crate) fn new(command: Vec<OsString>, log: PathBuf) -> Self {
        Self { command, log, child: None }
    }

    pub(crate) fn program(&self) -> &Path {
        Path::new(&self.command[0])
    }

    /// What it is from its next start on.
    pub(crate) fn set_program(&mut self, program: &Path) {
        self.command[0] = program.into();
    }

    pub(crate) fn start(&mut self) -> io::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGSTOP: it stays, and does nothing.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// How it ended, if it did so by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().ok().flatten()?;
        self.child = None;
        Some(status)
    }

    /// Asks it to end, and waits until it has. Fails if it does not, or not well.
    pub(crate) async fn end(&mut self) -> Result<(), String> {
        self.signal("-TERM");
        match self.wait().await? {
            status if status.success() => Ok(()),
            status => Err(format!("a program that was asked to end did so with {status}")),
        }
    }

    /// Waits until it ends.
    pub(crate) async fn wait(&mut self) -> Result<ExitStatus, String> {
        let until = Instant::now() + END_PATIENCE;
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            if Instant::now() > until {
                return Err(format!("a program does not end within {END_PATIENCE:?}"));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn signal(&self, signal: &str) {
        if let Some(child) = &self.child {
            let _ = Command::new("kill").arg(signal).arg(child.id().to_string()).status();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
