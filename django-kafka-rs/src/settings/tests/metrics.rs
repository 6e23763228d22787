//! `[metrics]`, in programs with its feature and without.

use super::*;

#[cfg(feature = "metrics")]
#[test]
fn the_address_of_metrics() {
    check(
        "[metrics]\nlisten = \"127.0.0.1:1\"",
        &[("DJANGO_KAFKA__METRICS__LISTEN", "[::]:9464")],
        &expect![[r"metrics.listen = [::]:9464 (environment variable DJANGO_KAFKA__METRICS__LISTEN)"]],
    );
    check(
        "[metrics]\nlisten = \"metrics:9464\"\nport = 9464",
        &[],
        &expect![[r#"
        2 mistakes in the settings:
          django-kafka.toml:2: `metrics.listen`: expected an IP address and a port, like "127.0.0.1:9464", or "0.0.0.0:9464" for all of the machine's addresses, found "metrics:9464"
          django-kafka.toml:3: `metrics.port`: unknown setting; there are: listen"#]],
    );
}

#[cfg(not(feature = "metrics"))]
#[test]
fn without_the_feature_its_setting_names_it() {
    check(
        "[metrics]\nlisten = \"127.0.0.1:9464\"",
        &[],
        &expect![
            "django-kafka.toml:1: `metrics`: this program is built without the feature `metrics` of django-kafka-rs: add it in Cargo.toml, or take this out"
        ],
    );
}
