//! Services of a test's own, for tests that stop them: nobody else's must suffer.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use super::service::send_signal;
use super::{address, wait_for};

/// A second stack, in a folder and on ports of its own; stopped and wiped at the end.
pub(crate) struct OwnStack {
    environment: Vec<(&'static str, String)>,
    kafka: u16,
    postgres: u16,
    connect: u16,
    #[cfg_attr(not(feature = "temporal-tests"), expect(dead_code, reason = "only its own tests ask for it"))]
    temporal: u16,
    home: tempfile::TempDir,
}

impl OwnStack {
    /// Starts these services.
    pub(crate) fn start(services: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        // What the stack has installed is shared: it lies beside Kafka's jars.
        let installed = Path::new(&address("KAFKA_LIBS")).parent().unwrap().to_owned();
        std::os::unix::fs::symlink(installed, home.path().join("opt")).unwrap();
        let [kafka, kafka_tls, controller, postgres, connect, temporal] = free_ports();
        let environment = vec![
            ("STACK_HOME", home.path().display().to_string()),
            ("KAFKA_PORT", kafka.to_string()),
            ("KAFKA_TLS_PORT", kafka_tls.to_string()),
            ("CONTROLLER_PORT", controller.to_string()),
            ("PG_PORT", postgres.to_string()),
            ("CONNECT_PORT", connect.to_string()),
            ("TEMPORAL_PORT", temporal.to_string()),
            ("KAFKA_HEAP", "384m".to_owned()),
        ];
        let stack = Self { environment, kafka, postgres, connect, temporal, home };
        stack.up(services);
        stack
    }

    pub(crate) fn servers(&self) -> String {
        format!("127.0.0.1:{}", self.kafka)
    }

    pub(crate) fn database_url(&self) -> String {
        format!("postgres://dkrs:dkrs@127.0.0.1:{}/dkrs", self.postgres)
    }

    pub(crate) fn connect_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.connect)
    }

    #[cfg(feature = "temporal-tests")]
    pub(crate) fn temporal_address(&self) -> String {
        format!("127.0.0.1:{}", self.temporal)
    }

    pub(crate) fn up(&self, services: &[&str]) {
        self.run("up", services);
    }

    pub(crate) fn down(&self, services: &[&str]) {
        self.run("down", services);
    }

    /// Starts them again after they were killed: the first try may come too early.
    pub(crate) fn up_again(&self, services: &[&str]) {
        wait_for("the services are up again", || self.try_run("up", services));
    }

    /// Sends a signal to a service's process: `-KILL`, `-STOP`. Not to its children.
    pub(crate) fn signal(&self, service: &str, signal: &str) {
        let file = self.home.path().join("run").join(service).with_extension("pid");
        let pid = std::fs::read_to_string(file).unwrap();
        send_signal(signal, pid.split(' ').next().unwrap());
    }

    fn run(&self, script: &str, arguments: &[&str]) {
        self.try_run(script, arguments).unwrap();
    }

    fn try_run(&self, script: &str, arguments: &[&str]) -> Result<(), String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/stack").join(script);
        let mut command = Command::new(&script);
        command.args(arguments).envs(self.environment.iter().map(|(key, value)| (key, value)));
        let output = command.output().unwrap();
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{} {arguments:?}: {}", script.display(), String::from_utf8_lossy(&output.stderr)))
    }
}

impl Drop for OwnStack {
    fn drop(&mut self) {
        self.run("down", &["--wipe"]);
    }
}

/// Ports that nobody listens on now.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
