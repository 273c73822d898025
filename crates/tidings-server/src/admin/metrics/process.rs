//! Metrics of this process, by the names that every Prometheus client uses. Read from `/proc`;
//! without it, there is only the start time.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::Semaphore;

use super::exposition::Exposition;
use super::exposition::Kind::{Counter, Gauge};

pub(super) async fn write(page: &mut Exposition, started: SystemTime) {
    let since = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    let help = "Start time of the process, in seconds since 1970.";
    page.one("process_start_time_seconds", Gauge, help, since.as_secs_f64().floor());
    page.family("tidings_build_info", Gauge, "The running version.");
    page.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    // Counting open files can take a while if there are many: one request at a time does it, and
    // keeps its turn until it is done, even if the client gives up.
    static TURN: Semaphore = Semaphore::const_new(1);
    let Ok(turn) = TURN.acquire().await else { return };
    let read = move || {
        let _turn = turn;
        Figures::read()
    };
    let Ok(figures) = tokio::task::spawn_blocking(read).await else { return };
    for (name, kind, help, value) in [
        (
            "process_resident_memory_bytes",
            Gauge,
            "Resident memory of the process, in bytes.",
            figures.resident_bytes,
        ),
        ("process_open_fds", Gauge, "Open files and sockets.", figures.open_files),
        ("process_max_fds", Gauge, "Maximum open files and sockets.", figures.open_files_max),
        (
            "process_cpu_seconds_total",
            Counter,
            "Processor time used, in seconds.",
            figures.cpu_seconds,
        ),
        ("process_threads", Gauge, "Threads.", figures.threads),
    ] {
        if let Some(value) = value {
            page.one(name, kind, help, value);
        }
    }
}

#[derive(Debug)]
struct Figures {
    resident_bytes: Option<f64>,
    open_files: Option<f64>,
    open_files_max: Option<f64>,
    cpu_seconds: Option<f64>,
    threads: Option<f64>,
}

impl Figures {
    fn read() -> Self {
        let file = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).ok();
        let status = file("status");
        let status = |name: &str| {
            let line = status.as_ref()?.lines().find(|line| line.starts_with(name))?;
            line.split_ascii_whitespace().nth(1)?.parse::<f64>().ok()
        };
        let limits = file("limits");
        let open_files_max = limits.and_then(|limits| {
            let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
            line.split_ascii_whitespace().nth(3)?.parse().ok()
        });
        Self {
            resident_bytes: status("VmRSS:").map(|kib| kib * 1024.0),
            threads: status("Threads:"),
            open_files: open_files(),
            open_files_max,
            cpu_seconds: file("stat").and_then(|stat| cpu_seconds(&stat)),
        }
    }
}

fn open_files() -> Option<f64> {
    // Since Linux 6.2 the folder's size is the number of its entries.
    match fs::metadata("/proc/self/fd").ok()?.len() {
        0 => Some(fs::read_dir("/proc/self/fd").ok()?.count() as f64),
        count => Some(count as f64),
    }
}

/// User and system time: the 14th and 15th field of `stat` (proc(5)). The second one, in
/// parentheses, is a name that may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// The rate that Linux reports to user space, whatever the kernel's own clock does (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 250 50 0 0 20 0 9 0 100 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
    }
}
