//! Our own services, as processes: `src/bin/mirror.rs`, where a test says no other.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::wait_for;

/// How to start a service.
#[derive(Clone)]
pub(crate) struct ServiceConfig {
    program: PathBuf,
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

/// A service that runs; killed at the end.
pub(crate) struct Service {
    child: Child,
    log: PathBuf,
    output: PathBuf,
}

impl ServiceConfig {
    /// Where its settings, its log and its SQLite database lie.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { program: env!("CARGO_BIN_EXE_mirror").into(), folder: folder.to_owned(), environment: Vec::new() }
    }

    /// Another service than the mirror, by its path.
    pub(crate) fn of(program: impl Into<PathBuf>, folder: &Path) -> Self {
        Self { program: program.into(), ..Self::new(folder) }
    }

    /// A setting, in the form of the environment: `DATABASE_URL`, `CONSUMER_CONFIG__GROUP_PROTOCOL`.
    pub(crate) fn set(self, setting: &str, value: impl Into<String>) -> Self {
        self.variable(&format!("DJANGO_KAFKA__{setting}"), value)
    }

    /// An environment variable.
    pub(crate) fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// With the library's own tables in its database.
    pub(crate) fn migrated(self) -> Self {
        self.run(&["migrate"]);
        self
    }

    /// Starts it; `name` tells its log from those of others.
    pub(crate) fn start(&self, name: &str, arguments: &[&str]) -> Service {
        let log = self.folder.join(format!("{name}.log"));
        let output = self.folder.join(format!("{name}.out"));
        let mut command = self.command(arguments);
        command.stdout(File::create(&output).unwrap()).stderr(File::create(&log).unwrap());
        Service { child: command.spawn().unwrap(), log, output }
    }

    /// Runs it to its end, which has to be good; gives what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}\n{stderr}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs it to its end; gives the exit code, what it printed, and what it said of a failure.
    pub(crate) fn outcome(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// Runs it to its end; gives the exit code and what it said of the failure.
    #[cfg(feature = "tls-tests")]
    pub(crate) fn fail(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.command(arguments).output().unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        // What the caller's shell says must not change a test.
        command.env_clear().env("RUST_LOG", "info,django_kafka_rs=debug").envs(self.environment.iter().cloned());
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        command
    }
}

impl Service {
    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    /// The lines that it has printed so far.
    pub(crate) fn output(&self) -> Vec<String> {
        std::fs::read_to_string(&self.output).unwrap().lines().map(str::to_owned).collect()
    }

    /// Waits until it has logged this.
    pub(crate) fn wait_for_log(&mut self, text: &str) {
        self.wait_for_log_from(0, text);
    }

    /// The same, behind the first `from` bytes of its log.
    pub(crate) fn wait_for_log_from(&mut self, from: usize, text: &str) {
        wait_for(&format!("`{text}` in the log"), || {
            let log = self.log();
            assert!(self.child.try_wait().unwrap().is_none(), "the service has ended:\n{log}");
            let found = log.get(from..).is_some_and(|log| log.contains(text));
            if found { Ok(()) } else { Err(log) }
        });
    }

    /// What its endpoint answers, where it has one (`[metrics] listen`): status and text.
    pub(crate) fn get(&mut self, path: &str) -> (u16, String) {
        const SAID: &str = "metrics at http://";
        self.wait_for_log(SAID);
        let log = self.log();
        let (_, address) = log.split_once(SAID).unwrap();
        let (address, _) = address.split_once('/').unwrap();
        let output = Command::new("curl")
            .args(["-sS", "-m", "30", "-w", "\n%{http_code}", &format!("http://{address}{path}")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{path}: {}\n{}", String::from_utf8_lossy(&output.stderr), self.log());
        let text = String::from_utf8(output.stdout).unwrap();
        let (text, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), text.to_owned())
    }

    /// Sends a signal: `-TERM`, `-STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        send_signal(signal, &self.child.id().to_string());
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Kills it: nothing of it runs on.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, which has to be in order; gives how many messages it says to have handled.
    pub(crate) fn end(self) -> u64 {
        handled(&self.stop())
    }

    /// Asks it to end, which has to be in order; gives what it has printed.
    pub(crate) fn stop(mut self) -> String {
        self.signal("-TERM");
        let status = wait_for("the service ends", || match self.child.try_wait().unwrap() {
            Some(status) => Ok(status),
            None => Err(self.log()),
        });
        assert!(status.success(), "{status}");
        std::fs::read_to_string(&self.output).unwrap()
    }

    /// Resident memory in KiB, the highest so far.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

pub(super) fn send_signal(signal: &str, pid: &str) {
    let status = Command::new("kill").args([signal, pid]).status().unwrap();
    assert!(status.success(), "kill {signal} {pid}: {status}");
}

/// The number in `done: 12 messages in 1.5 s`.
pub(crate) fn handled(output: &str) -> u64 {
    let number = output.lines().find_map(|line| line.strip_prefix("done: ")?.split(" messages").next());
    let digits: String = number.unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no summary: {output}"))
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(4000);
            let from = (from..log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(log.len());
            eprintln!("-- the end of {}:\n{}", self.log.display(), &log[from..]);
        }
    }
}
