//! The load of this machine, each second, from `/proc`. Elsewhere than on Linux there is nothing to
//! tell.

use std::fs::read_to_string;
use std::time::Duration;

use serde_json::json;

use super::{Ended, Hub};

pub(super) async fn run(hub: Hub) -> Result<(), Ended> {
    let mut before = Cpu::read()?;
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.tick().await;
    loop {
        every.tick().await;
        let now = Cpu::read()?;
        let total = now.total.saturating_sub(before.total).max(1);
        let busy = now.busy.saturating_sub(before.busy);
        before = now;
        let load = read_to_string("/proc/loadavg")?;
        let load: f64 = load.split(' ').next().unwrap_or("0").parse()?;
        let figures = json!({
            "host": read_to_string("/proc/sys/kernel/hostname")?.trim(),
            "cpu_percent": (1000.0 * busy as f64 / total as f64).round() / 10.0,
            "load": load,
            "memory_total": memory("MemTotal")?,
            "memory_used": memory("MemTotal")?.saturating_sub(memory("MemAvailable")?),
            "hub_memory": memory_of_this_process()?,
        });
        hub.publish("demo/monitor", figures.to_string()).await?;
    }
}

/// Ticks of all processors since the start.
struct Cpu {
    busy: u64,
    total: u64,
}

impl Cpu {
    fn read() -> Result<Self, Ended> {
        let stat = read_to_string("/proc/stat")?;
        let line = stat.lines().next().unwrap_or_default();
        // user, nice, system, idle, iowait, irq, softirq, steal
        let ticks = line.split_whitespace().skip(1).take(8).map(str::parse);
        let ticks: Vec<u64> = ticks.collect::<Result<_, _>>()?;
        let total = ticks.iter().sum();
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        Ok(Self { busy: total - idle, total })
    }
}

/// A line of `/proc/meminfo`, in bytes.
fn memory(name: &str) -> Result<u64, Ended> {
    field("/proc/meminfo", name)
}

fn memory_of_this_process() -> Result<u64, Ended> {
    field("/proc/self/status", "VmRSS")
}

fn field(file: &str, name: &str) -> Result<u64, Ended> {
    let text = read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no such line")?;
    Ok(kib.parse::<u64>()? * 1024)
}
