//! TLS to Kafka, to PostgreSQL, to Kafka Connect and to the schema registry, with an authority that nobody knows but the
//! stack.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::harness::{Broker, Load, Replica, ServiceConfig, address, fresh_name};

/// A service that is told everything but, perhaps, whom to trust.
fn service(name: &str, folder: &std::path::Path, replica: &Replica) -> ServiceConfig {
    ServiceConfig::new(folder)
        .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", address("KAFKA_TLS_BOOTSTRAP"))
        .set("GLOBAL_CONFIG__SECURITY_PROTOCOL", "SSL")
        .set("DATABASE_URL", replica.url())
        .set("TOPIC_VARIABLES__PREFIX", name)
}

#[test]
fn a_service_speaks_tls_to_kafka_and_trusts_only_whom_it_is_told() {
    let name = fresh_name("tls");
    let topic = format!("{name}.items");
    let broker = Broker::new(&name);
    broker.create_topic(&topic, 2);
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::postgres(&name);
    replica.sql(Load::TABLE);
    let mut load = Load::new(&topic);
    load.produce(&broker, 1_000, 100);
    let untrusting = service(&name, folder.path(), &replica);
    let (code, stderr) = untrusting.fail(&["consume", "Items", "--until-end"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("certificate verify failed"), "{stderr}");
    let trusting = untrusting.set("GLOBAL_CONFIG__SSL_CA_LOCATION", address("KAFKA_CA"));
    trusting.migrated().run(&["consume", "Items", "--until-end"]);
    load.compare(&replica).unwrap();
}

/// On demand (`--features postgres-tls-tests`): it builds OpenSSL from source.
#[cfg(feature = "postgres-tls-tests")]
#[test]
fn a_service_speaks_tls_to_postgresql_and_trusts_only_whom_it_is_told() {
    let name = fresh_name("pgtls");
    let topic = format!("{name}.items");
    let broker = Broker::new(&name);
    broker.create_topic(&topic, 2);
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::postgres(&name);
    replica.sql(Load::TABLE);
    let mut load = Load::new(&topic);
    load.produce(&broker, 1_000, 100);
    let service = |authority: &str| {
        let url = format!("{}?sslmode=verify-full&sslrootcert={authority}", replica.url());
        ServiceConfig::new(folder.path())
            .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", address("KAFKA_BOOTSTRAP"))
            .set("DATABASE_URL", url)
            .set("TOPIC_VARIABLES__PREFIX", &name)
    };
    // An authority, but not the one that signed.
    let other = folder.path().join("other.pem");
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=other", "-keyout"])
        .arg(folder.path().join("other.key"))
        .arg("-out")
        .arg(&other)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (code, stderr) = service(other.to_str().unwrap()).fail(&["consume", "Items", "--until-end"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("certificate verify failed"), "{stderr}");
    service(&address("POSTGRES_CA")).migrated().run(&["consume", "Items", "--until-end"]);
    load.compare(&replica).unwrap();
}

/// Passes on what comes over TLS, to a port of this machine; where it is told an authority, only for who has a
/// certificate of it.
const TLS_FRONT: &str = "
import socket, ssl, sys, threading
certificate, key, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
if len(sys.argv) > 4:
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(sys.argv[4])
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
def serve(raw):
    try:
        front = context.wrap_socket(raw, server_side=True)
    except OSError:
        return
    behind = socket.create_connection(('127.0.0.1', port))
    threading.Thread(target=pump, args=(behind, front), daemon=True).start()
    pump(front, behind)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
";

/// A certificate that has signed itself, and its key.
struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificate {
    fn make(folder: &Path, name: &str) -> Self {
        let made = Self { certificate: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) };
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", &format!("/CN={name}")])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&made.key)
            .arg("-out")
            .arg(&made.certificate)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        made
    }
}

/// TLS before a service that speaks none; it ends with this.
struct Front {
    process: Child,
    url: String,
}

impl Front {
    /// Before the service at this address. `clients`: whose certificate it asks for.
    fn before(behind: &str, own: &Certificate, clients: Option<&Certificate>) -> Self {
        let (_, rest) = behind.trim_end_matches('/').rsplit_once(':').unwrap();
        let (port, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let mut process = Command::new("python3")
            .args(["-c", TLS_FRONT])
            .args([&own.certificate, &own.key])
            .arg(port)
            .args(clients.map(|clients| &clients.certificate))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let front: u16 = line.trim().parse().unwrap();
        Self { process, url: format!("https://127.0.0.1:{front}{path}") }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn connect_speaks_tls_and_trusts_only_whom_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let own = Certificate::make(folder.path(), "connect");
    let front = Front::before(&address("CONNECT_URL"), &own, None);
    let service = ServiceConfig::of(env!("CARGO_BIN_EXE_connectors"), folder.path())
        .set("CONNECT_HOST", &front.url)
        .set("CONNECT_RETRY__CONNECT", "0")
        .set("CONNECTOR_NAME_PREFIX", fresh_name("tls"))
        .set("TOPIC_VARIABLES__OLD_LINES", "OldLines");
    let untrusting = service.outcome(&["connect", "OldLines", "--publish"]);
    let trusting = service.variable("SSL_CERT_FILE", own.certificate.to_str().unwrap()).outcome(&[
        "connect",
        "OldLines",
        "--publish",
    ]);
    assert_eq!(untrusting.0, 1, "{untrusting:?}");
    assert!(untrusting.1.contains("certificate"), "{untrusting:?}");
    assert_eq!(
        (trusting.0, trusting.1.as_str()),
        (0, "publish   OldLines: to be removed, and not there\n"),
        "{trusting:?}"
    );
}

#[test]
fn the_schema_registry_is_asked_over_tls_with_a_certificate_of_our_own() {
    let name = fresh_name("tls");
    let broker = Broker::new(&name);
    broker.create_topic(&format!("{name}.from_python"), 1);
    let folder = tempfile::tempdir().unwrap();
    let (own, client) = (Certificate::make(folder.path(), "registry"), Certificate::make(folder.path(), "client"));
    let front = Front::before(&address("SCHEMA_REGISTRY_URL"), &own, Some(&client));
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let service = || {
        ServiceConfig::of(env!("CARGO_BIN_EXE_avro_service"), folder.path())
            .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", broker.servers())
            .set("TOPIC_VARIABLES__PREFIX", &name)
            .set("SCHEMA_REGISTRY__URL", &front.url)
            .set("SCHEMA_REGISTRY__CHECK_COMPATIBILITY", "true")
    };
    let trusting = || service().set("SCHEMA_REGISTRY__SSL_CA_LOCATION", path(&own.certificate));
    let known = trusting()
        .set("SCHEMA_REGISTRY__SSL_CERTIFICATE_LOCATION", path(&client.certificate))
        .set("SCHEMA_REGISTRY__SSL_KEY_LOCATION", path(&client.key));
    // Nobody it trusts; then one who does not know us, which each TLS library says in its own way.
    for (refused, why) in [(service(), "certificate"), (trusting(), "the schema registry")] {
        let (code, stderr) = refused.fail(&["consume", "Events", "--until-end"]);
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains(why), "{stderr}");
    }
    // What is written meanwhile waits for who may ask.
    crate::avro::write_by_python(&broker, &format!("{name}.from_python"));
    let printed = known.run(&["consume", "Events", "--until-end"]);
    assert!(printed.contains("bare true") && printed.contains("full true"), "{printed}");
}
