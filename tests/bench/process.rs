//! A contender as a process, measured from outside.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Failure;

/// What contenders say on standard error once they have their partitions.
pub(crate) const ASSIGNED: &str = "assigned";
/// What those say whose end takes long, when all is committed.
pub(crate) const DONE: &str = "done";
/// How long a broker may hold an answer back that has nothing. That a partition has ended is such an answer: with the
/// default of 500 short runs would be mostly that.
pub(crate) const FETCH_WAIT_MAX_MS: &str = "10";

/// A run that takes longer has hung.
pub(crate) const RUN_MAX: Duration = Duration::from_secs(300);
/// Lines that are kept for an error's text.
const SAID_MAX: usize = 40;

/// How often a process is looked at while it runs.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// The kernel's, in which processor time is told.
const TICKS_PER_SECOND: f64 = 100.0;

/// One run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// From the assignment of partitions to the end of the process.
    pub(crate) messages_per_second: f64,
    /// Resident memory at its highest, of the process and those that it has started.
    pub(crate) peak_mb: f64,
    /// The process's own processor time, all threads, for each message; it counts from the start, and of a process
    /// that serves all rounds from the beginning of this one.
    pub(crate) cpu_us: f64,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages_per_second, peak_mb, cpu_us } = self;
        write!(f, "{messages_per_second:>7.0} messages/s, {peak_mb:>3.0} MB, {cpu_us:>4.1} µs of CPU a message")
    }
}

/// Runs the contender's processes, one or more in a group, to their end, which has to be good.
pub(crate) fn run(commands: Vec<Command>, messages: u64) -> Result<Measured, Failure> {
    let started: Vec<Running> = commands.into_iter().map(Running::start).collect::<Result<_, _>>()?;
    let ended: Vec<Ended> = started.into_iter().map(Running::end).collect::<Result<_, _>>()?;
    let began = ended.iter().filter_map(|process| process.assigned).min();
    let done = ended.iter().map(|process| process.done).max();
    let (Some(began), Some(done)) = (began, done) else {
        let logs: Vec<String> = ended.into_iter().map(|process| process.log).collect();
        return Err(format!("it never said that partitions are assigned:\n{}", logs.join("\n")).into());
    };
    let usage = ended.iter().fold(Usage::default(), |all, process| all.and(process.usage));
    Ok(usage.measured(Usage::default(), messages, done - began))
}

struct Running {
    child: Child,
    log: JoinHandle<Log>,
    watcher: JoinHandle<Usage>,
    ended: mpsc::Sender<()>,
}

struct Ended {
    assigned: Option<Instant>,
    done: Instant,
    usage: Usage,
    log: String,
}

impl Running {
    fn start(mut command: Command) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().ok_or("no standard error")?;
        let log = std::thread::spawn(move || Log::read(stderr));
        let (ended, is_over) = mpsc::channel::<()>();
        let pid = child.id();
        let watcher = std::thread::spawn(move || watch(pid, &is_over));
        Ok(Self { child, log, watcher, ended })
    }

    fn end(mut self) -> Result<Ended, Failure> {
        let status = self.child.wait()?;
        drop(self.ended);
        let log = self.log.join().map_err(|_| "the log's reader panicked")?;
        let usage = self.watcher.join().map_err(|_| "the watcher panicked")?;
        if !status.success() {
            return Err(format!("{status}:\n{}", log.text).into());
        }
        Ok(Ended {
            assigned: log.assigned,
            done: log.done.or(log.ended).ok_or("its log has no end")?,
            usage,
            log: log.text,
        })
    }
}

/// What a process said.
#[derive(Default)]
struct Log {
    /// When partitions were first assigned.
    assigned: Option<Instant>,
    /// When it said that all is committed, if it says so.
    done: Option<Instant>,
    /// When nothing more could come: the process has ended.
    ended: Option<Instant>,
    text: String,
}

impl Log {
    /// To the process's end.
    fn read(stderr: ChildStderr) -> Self {
        let mut log = Self::default();
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if line.contains(ASSIGNED) {
                log.assigned.get_or_insert_with(Instant::now);
            }
            if line == DONE {
                log.done.get_or_insert_with(Instant::now);
            }
            log.text.push_str(&line);
            log.text.push('\n');
        }
        log.ended = Some(Instant::now());
        log
    }
}

/// As it was when the process was last seen: both only grow.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Usage {
    peak_kib: u64,
    ticks: u64,
}

impl Usage {
    /// Of a process and those that it has started, as they are now.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let mut usage = Self { peak_kib: peak_kib(pid)?, ticks: ticks(pid)? };
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            for child in children.split_ascii_whitespace().filter_map(|child| child.parse().ok()) {
                usage = usage.and(Self::of(child).unwrap_or_default());
            }
        }
        Some(usage)
    }

    fn and(self, other: Self) -> Self {
        Self { peak_kib: self.peak_kib + other.peak_kib, ticks: self.ticks + other.ticks }
    }

    /// Of `messages` that were handled in this time, where `before` was the usage at its beginning.
    pub(crate) fn measured(self, before: Self, messages: u64, took: Duration) -> Measured {
        Measured {
            messages_per_second: messages as f64 / took.as_secs_f64(),
            peak_mb: self.peak_kib as f64 * 1_024.0 / 1e6,
            cpu_us: (self.ticks - before.ticks) as f64 / TICKS_PER_SECOND * 1e6 / messages as f64,
        }
    }
}

fn watch(pid: u32, is_over: &mpsc::Receiver<()>) -> Usage {
    let mut usage = Usage::default();
    while is_over.recv_timeout(LOOK_INTERVAL) == Err(mpsc::RecvTimeoutError::Timeout) {
        // A process that has just ended has neither.
        usage = Usage::of(pid).unwrap_or(usage);
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

/// A process that runs until it is told to end, and its lines with their times.
pub(crate) struct Standing {
    child: Child,
    lines: mpsc::Receiver<(Instant, String)>,
    /// What it said last, for an error's text.
    said: VecDeque<String>,
}

impl Standing {
    pub(crate) fn start(mut command: Command) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let stderr = child.stderr.take().ok_or("no standard error")?;
        forward(stdout, sender.clone());
        forward(stderr, sender);
        Ok(Self { child, lines, said: VecDeque::new() })
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.child.id()).unwrap_or_default()
    }

    /// What it is told on its standard input.
    pub(crate) fn tell(&mut self, line: &str) -> Result<(), Failure> {
        let stdin = self.child.stdin.as_mut().ok_or("no standard input")?;
        writeln!(stdin, "{line}")?;
        Ok(stdin.flush()?)
    }

    /// The next line in which this is found, and when it was said.
    pub(crate) fn wait_for<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> Result<(Instant, T), Failure> {
        let until = Instant::now() + RUN_MAX;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok((at, line)) = self.lines.recv_timeout(left) else {
                let said: Vec<String> = self.said.drain(..).collect();
                return Err(
                    format!("the process has not said what it should; its last lines:\n{}", said.join("\n")).into()
                );
            };
            if let Some(found) = find(&line) {
                return Ok((at, found));
            }
            self.said.push_back(line);
            if self.said.len() > SAID_MAX {
                self.said.pop_front();
            }
        }
    }

    pub(crate) fn end(mut self) -> Result<(), Failure> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the process: {status}").into()) }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward(output: impl Read + Send + 'static, lines: mpsc::Sender<(Instant, String)>) {
    std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| lines.send((Instant::now(), line)))
    });
}

/// Looks until it is so; gives when that was seen.
pub(crate) fn wait(what: &str, mut is_so: impl FnMut() -> Result<bool, Failure>) -> Result<Instant, Failure> {
    let until = Instant::now() + RUN_MAX;
    while !is_so()? {
        if Instant::now() > until {
            return Err(format!("{what}: not within {RUN_MAX:?}").into());
        }
        std::thread::park_timeout(LOOK_INTERVAL);
    }
    Ok(Instant::now())
}
