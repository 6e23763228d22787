//! A contender as a process, measured from outside.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::process::{ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::Failure;

/// What both contenders say on standard error once they have their partitions.
pub(crate) const ASSIGNED: &str = "assigned";

/// How often a process is looked at while it runs.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// The kernel's, in which processor time is told.
const TICKS_PER_SECOND: f64 = 100.0;

/// One run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// From the assignment of partitions to the end of the process.
    pub(crate) messages_per_second: f64,
    /// Resident memory at its highest.
    pub(crate) peak_mb: f64,
    /// The process's own processor time, all threads, for each message; it counts from the start.
    pub(crate) cpu_us: f64,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages_per_second, peak_mb, cpu_us } = self;
        write!(f, "{messages_per_second:>7.0} messages/s, {peak_mb:>3.0} MB, {cpu_us:>4.1} µs of CPU a message")
    }
}

/// Runs the contender to its end, which has to be good.
pub(crate) fn run(mut command: Command, messages: u64) -> Result<Measured, Failure> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let stderr = child.stderr.take().ok_or("no standard error")?;
    let log = std::thread::spawn(move || read_log(stderr));
    let (ended, is_over) = mpsc::channel::<()>();
    let pid = child.id();
    let usage = std::thread::spawn(move || watch(pid, &is_over));
    let status = child.wait()?;
    let end = Instant::now();
    drop(ended);
    let (assigned, log) = log.join().map_err(|_| "the log's reader panicked")?;
    let usage = usage.join().map_err(|_| "the watcher panicked")?;
    if !status.success() {
        return Err(format!("{status}:\n{log}").into());
    }
    let assigned = assigned.ok_or_else(|| format!("it never said that partitions are assigned:\n{log}"))?;
    Ok(Measured {
        messages_per_second: messages as f64 / (end - assigned).as_secs_f64(),
        peak_mb: usage.peak_kib as f64 * 1_024.0 / 1e6,
        cpu_us: usage.ticks as f64 / TICKS_PER_SECOND * 1e6 / messages as f64,
    })
}

/// When partitions were assigned, and all that was said.
fn read_log(stderr: ChildStderr) -> (Option<Instant>, String) {
    let (mut assigned, mut log) = (None, String::new());
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if line.contains(ASSIGNED) {
            assigned.get_or_insert_with(Instant::now);
        }
        log.push_str(&line);
        log.push('\n');
    }
    (assigned, log)
}

/// As it was when the process was last seen: both only grow.
#[derive(Default)]
struct Usage {
    peak_kib: u64,
    ticks: u64,
}

fn watch(pid: u32, is_over: &mpsc::Receiver<()>) -> Usage {
    let mut usage = Usage::default();
    while is_over.recv_timeout(LOOK_INTERVAL) == Err(mpsc::RecvTimeoutError::Timeout) {
        // A process that has just ended has neither.
        usage.peak_kib = peak_kib(pid).unwrap_or(usage.peak_kib);
        usage.ticks = ticks(pid).unwrap_or(usage.ticks);
    }
    usage
}

fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().trim_end_matches(" kB").parse().ok()
}

/// Processor time of user and system.
fn ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold anything: the state is the first, and these are the twelfth and thirteenth.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}
