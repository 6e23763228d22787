//! Our own services, as processes: `src/bin/mirror.rs`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::wait_for;

/// How to start a service.
pub(crate) struct ServiceConfig {
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

/// A service that runs; killed at the end.
pub(crate) struct Service {
    child: Child,
    log: PathBuf,
}

impl ServiceConfig {
    /// Where its settings, its log and its SQLite database lie.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), environment: Vec::new() }
    }

    /// A setting, in the form of the environment: `DATABASE_URL`, `CONSUMER_CONFIG__GROUP_PROTOCOL`.
    pub(crate) fn set(mut self, setting: &str, value: impl Into<String>) -> Self {
        self.environment.push((format!("DJANGO_KAFKA__{setting}"), value.into()));
        self
    }

    /// Starts it; `name` tells its log from those of others.
    pub(crate) fn start(&self, name: &str, arguments: &[&str]) -> Service {
        let log = self.folder.join(format!("{name}.log"));
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        Service { child: command.spawn().unwrap(), log }
    }

    /// Runs it to its end, which has to be good; gives what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}\n{stderr}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mirror"));
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

    /// Waits until it has logged this.
    pub(crate) fn wait_for_log(&mut self, text: &str) {
        wait_for(&format!("`{text}` in the log"), || {
            let log = self.log();
            assert!(self.child.try_wait().unwrap().is_none(), "the service has ended:\n{log}");
            if log.contains(text) { Ok(()) } else { Err(log) }
        });
    }

    /// Sends a signal: `-TERM`, `-STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Kills it: nothing of it runs on.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.signal("-TERM");
        wait_for("the service ends", || match self.child.try_wait().unwrap() {
            Some(status) => Ok(status),
            None => Err(self.log()),
        })
    }

    /// Resident memory in KiB, the highest so far.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }
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
