//! The real program, in a folder of its own, and what speaks to it. Every wait is bounded.
#![allow(dead_code, unreachable_pub)] // each test file uses its part of it
#![allow(clippy::unwrap_used)]

pub mod dns;
pub mod pebble;
pub mod tls;
pub mod wire;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use tidings_testkit::ports;

/// Longer than anything here takes, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The program, with nothing of this machine's environment that it would heed.
pub fn tidings() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    clean(&mut command);
    command
}

pub fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("TIDINGS_") || name_text.starts_with("MERCURE_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1");
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Output {
    let stdin = Stdio::null();
    let child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    Process::new(child.unwrap()).output()
}

/// What a command says on standard output and on standard error, and its exit code.
pub fn said(command: &mut Command) -> (String, String, i32) {
    let output = run(command);
    (text(output.stdout), text(output.stderr), output.status.code().unwrap_or(-1))
}

pub fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// Waits until `holds`.
pub fn eventually(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it does not come to hold");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A folder that goes when the test does.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidings-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, and says where it is.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that runs; it is killed when the test is over.
pub struct Process {
    child: Child,
    lines: Option<Receiver<String>>,
}

impl Process {
    pub fn new(child: Child) -> Self {
        Self { child, lines: None }
    }

    pub fn spawn(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Self::new(child.unwrap())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the system says of it, for the message of a failure.
    pub fn state(&self) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let state = status.lines().find(|line| line.starts_with("State:"));
        state.unwrap_or("it is not known how it is").to_owned()
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// `kill -9`, and nothing is left of it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the program does not end");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Feeds its standard input.
    pub fn write(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    pub fn close_stdin(&mut self) {
        drop(self.child.stdin.take());
    }

    /// The next line of its standard output.
    pub fn line(&mut self) -> String {
        self.line_within(PATIENCE).expect("a line in time")
    }

    pub fn line_within(&mut self, patience: Duration) -> Option<String> {
        let stdout = self.child.stdout.take();
        let lines = self.lines.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::channel();
            let stdout = BufReader::new(stdout.expect("standard output is a pipe"));
            thread::spawn(move || {
                for line in stdout.lines() {
                    if line.map_or(true, |line| sender.send(line).is_err()) {
                        return;
                    }
                }
            });
            receiver
        });
        lines.recv_timeout(patience).ok()
    }

    /// The next line that begins so.
    pub fn line_with(&mut self, start: &str) -> String {
        loop {
            let line = self.line();
            if line.starts_with(start) {
                return line;
            }
        }
    }

    /// The next lines that begin so, without it.
    pub fn values(&mut self, start: &str, count: usize) -> Vec<String> {
        (0..count).map(|_| self.line_with(start)[start.len()..].to_owned()).collect()
    }

    /// Waits for its end; everything it said.
    pub fn output(mut self) -> Output {
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let stdout = thread::spawn(move || all(stdout));
        let stderr = thread::spawn(move || all(stderr));
        let status = self.wait();
        Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
    }

    /// Everything it said on standard error, once it has ended.
    pub fn stderr(&mut self) -> String {
        text(all(self.child.stderr.take()))
    }
}

fn all(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.read_to_end(&mut bytes);
    }
    bytes
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A hub that runs, on a port that the system chose.
pub struct Hub {
    pub process: Process,
    /// `http` or `https`.
    pub scheme: String,
    pub address: String,
    /// The second line it printed.
    pub history: String,
}

impl Hub {
    /// `tidings serve`, with its history in `folder`.
    pub fn serve(folder: &Folder, arguments: &[&str]) -> Self {
        let data = folder.path().join("data");
        let mut command = tidings();
        command.args(["serve", "--log", "warn", "--data"]).arg(data).args(arguments);
        Self::start(&mut command)
    }

    /// Whatever `command` makes a hub of.
    pub fn start(command: &mut Command) -> Self {
        // A port of its own, because tests start it there again.
        command.args(["--listen", &ports::address().to_string()]).stdout(Stdio::piped());
        let mut process = Process::new(command.spawn().unwrap());
        let first = process.line();
        let (scheme, address) =
            first.strip_prefix("listening on ").unwrap().split_once("://").unwrap();
        let (scheme, address) = (scheme.to_owned(), address.to_owned());
        let history = process.line();
        Self { process, scheme, address, history }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// `curl -s` with these words and the URL of `path`.
    pub fn curl(&self, words: &[&str], path: &str) -> String {
        let output = run(&mut self.curl_command(words, path));
        let state = self.process.state();
        assert!(output.status.success(), "curl {words:?} {path}: {output:?}; the hub: {state}");
        text(output.stdout)
    }

    /// `curl -sN`, and its output as it comes.
    pub fn listen(&self, words: &[&str], path: &str) -> Process {
        let mut curl = self.curl_command(words, path);
        Process::spawn(curl.arg("-N").stdin(Stdio::null()))
    }

    fn curl_command(&self, words: &[&str], path: &str) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["-s", "--max-time", "30"]).args(words).arg(self.url(path));
        curl
    }

    /// A client command of the program, aimed at this hub.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = tidings();
        command.args(words).env("TIDINGS_URL", self.url(""));
        command
    }

    /// Publishes one event with `curl`; its id.
    pub fn publish(&self, topic: &str, data: &str) -> String {
        let answer = self.curl(&["-d", data], &format!("/events/{topic}"));
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        answer["id"].as_str().unwrap().to_owned()
    }
}
