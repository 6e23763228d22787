//! TLS to Kafka and to PostgreSQL, with an authority that nobody knows but the stack.

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
    trusting.run(&["consume", "Items", "--until-end"]);
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
    service(&address("POSTGRES_CA")).run(&["consume", "Items", "--until-end"]);
    load.compare(&replica).unwrap();
}
