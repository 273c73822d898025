//! The server's cost, read from `/proc` on Linux. Elsewhere the report leaves these figures out.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

/// Clock ticks per second in `/proc/PID/stat`: always 100 as seen from user space.
const TICKS_PER_SECOND: u64 = 100;

/// A sample of a server: its processes and all their descendants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// User and system time so far, including that of children waited for.
    pub(crate) cpu: Duration,
    /// Private memory, and a proportional share of shared memory except files: anonymous, shared
    /// and swapped.
    pub(crate) memory_bytes: u64,
}

/// Samples the processes `pids` and their descendants; `None` if none of them exists.
pub(crate) fn sample(pids: &[u32]) -> Option<Sample> {
    let mut sum = None;
    for pid in family(pids) {
        let Some(one) = sample_one(pid) else { continue };
        let sum: &mut Sample = sum.get_or_insert_default();
        sum.cpu += one.cpu;
        sum.memory_bytes += one.memory_bytes;
    }
    sum
}

/// CPU time of this process.
pub(crate) fn own_cpu() -> Option<Duration> {
    Some(stat(std::process::id())?.1)
}

/// Number of files that this process may open.
pub(crate) fn files_max() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn sample_one(pid: u32) -> Option<Sample> {
    let (_, cpu) = stat(pid)?;
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let kilobytes = |name: &str| {
        let line = rollup.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let parts = ["Pss_Anon:", "Pss_Shmem:", "SwapPss:"];
    let memory = parts.into_iter().filter_map(kilobytes).sum::<u64>() * 1024;
    Some(Sample { cpu, memory_bytes: memory })
}

/// Parent and CPU time of a process.
fn stat(pid: u32) -> Option<(u32, Duration)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may contain anything.
    let mut fields = stat.get(stat.rfind(')')? + 2..)?.split(' ');
    let parent = fields.nth(1)?.parse().ok()?;
    let ticks: u64 = fields.skip(9).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Some((parent, Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)))
}

/// `pids` and every process that descends from them.
fn family(pids: &[u32]) -> HashSet<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        if let Some(pid) = pid
            && let Some((parent, _)) = stat(pid)
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = HashSet::new();
    let mut waiting = pids.to_vec();
    while let Some(pid) = waiting.pop() {
        if found.insert(pid) {
            waiting.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_may_open_files() {
        let sample = sample(&[std::process::id()]).expect("we are running");
        assert!(sample.memory_bytes > 0);
        assert!(files_max().expect("Linux says so") > 0);
    }

    #[test]
    fn a_process_that_has_ended_gives_no_sample() {
        assert_eq!(sample(&[u32::MAX]), None);
    }
}
