//! Temporal's settings, in programs with its feature and without.

use super::*;

#[cfg(feature = "temporal")]
#[test]
fn every_setting_of_temporal() {
    check(
        r#"
            relation_resolver_daemon = "temporal"
            temporal_task_queue = "shop"

            [temporal]
            address = "shop.a1b2c.tmprl.cloud:7233"
            namespace = "shop.a1b2c"
            api_key = "hidden"
            tls_ca = "ca.pem"
        "#,
        &[("DJANGO_KAFKA__TEMPORAL__NAMESPACE", "other")],
        &expect![[r"
            relation_resolver_daemon = temporal (django-kafka.toml:2)
            temporal_task_queue = shop (django-kafka.toml:3)
            temporal.address = shop.a1b2c.tmprl.cloud:7233 (django-kafka.toml:6)
            temporal.namespace = other (environment variable DJANGO_KAFKA__TEMPORAL__NAMESPACE)
            temporal.api_key = *** (django-kafka.toml:8)
            temporal.tls_ca = ca.pem (django-kafka.toml:9)"]],
    );
}

#[cfg(feature = "temporal")]
#[test]
fn credentials_are_not_sent_in_the_clear() {
    check(
        "[temporal]\naddress = \"http://temporal:7233\"\napi_key = \"hidden\"",
        &[],
        &expect![
            "django-kafka.toml:2: `temporal.address`: `api_key` is set, and `http://` is in the clear: write `https://`, or take `api_key` out"
        ],
    );
    check(
        "[temporal]\naddress = \"grpc://temporal\"\nqueue = \"x\"",
        &[],
        &expect![[r#"
            2 mistakes in the settings:
              django-kafka.toml:2: `temporal.address`: expected an address like "http://temporal:7233", found "grpc://temporal"
              django-kafka.toml:3: `temporal.queue`: unknown setting; there are: address, namespace, api_key, tls_ca"#]],
    );
}

#[cfg(not(feature = "temporal"))]
#[test]
fn without_the_feature_its_settings_name_it() {
    check(
        "relation_resolver_daemon = \"temporal\"\ntemporal_task_queue = \"shop\"\n[temporal]\naddress = \"t:7233\"",
        &[],
        &expect![[r"
            3 mistakes in the settings:
              django-kafka.toml:1: `relation_resolver_daemon`: `temporal` needs the feature `temporal` of django-kafka-rs, and this program is built without it: add it in Cargo.toml, or set `relation_resolver_daemon` to `local`
              django-kafka.toml:2: `temporal_task_queue`: this program is built without the feature `temporal` of django-kafka-rs: add it in Cargo.toml, or take this out
              django-kafka.toml:3: `temporal`: this program is built without the feature `temporal` of django-kafka-rs: add it in Cargo.toml, or take this out"]],
    );
}
