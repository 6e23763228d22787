//! Kafka Connect's settings.

use super::*;

#[test]
fn every_setting_of_kafka_connect() {
    check(
        r#"
            connect_host = "http://gateway.internal/kafka/connect/"
            connect_auth = ["publisher", "hidden"]
            connect_requests_timeout = "10s"
            connector_name_prefix = "shop"

            [connect_retry]
            connect = 1
            read = 2
            status = 0
            backoff_factor = 0.25
            backoff_max = "5s"
            status_forcelist = [500, 503]
        "#,
        &[],
        &expect![[r#"
            connect_host = http://gateway.internal/kafka/connect (django-kafka.toml:2)
            connect_auth.username = publisher (django-kafka.toml:3)
            connect_auth.password = *** (django-kafka.toml:3)
            connect_retry.connect = 1 (django-kafka.toml:8)
            connect_retry.read = 2 (django-kafka.toml:9)
            connect_retry.status = 0 (django-kafka.toml:10)
            connect_retry.backoff_factor = 250ms (django-kafka.toml:11)
            connect_retry.backoff_max = 5s (django-kafka.toml:12)
            connect_retry.status_forcelist = 500,503 (django-kafka.toml:13)
            connect_requests_timeout = 10s (django-kafka.toml:4)
            connector_name_prefix = shop (django-kafka.toml:5)"#]],
    );
}

#[test]
fn the_environment_says_it_too() {
    check(
        "connect_auth = [\"publisher\", \"hidden\"]",
        &[
            ("DJANGO_KAFKA__CONNECT_HOST", "http://connect:8083"),
            ("DJANGO_KAFKA__CONNECT_AUTH", "me:hid:den"),
            ("DJANGO_KAFKA__CONNECT_RETRY__STATUS_FORCELIST", "502, 503"),
            ("DJANGO_KAFKA__CONNECT_RETRY__CONNECT", "0"),
        ],
        &expect![[r#"
            connect_host = http://connect:8083 (environment variable DJANGO_KAFKA__CONNECT_HOST)
            connect_auth.username = me (environment variable DJANGO_KAFKA__CONNECT_AUTH)
            connect_auth.password = *** (environment variable DJANGO_KAFKA__CONNECT_AUTH)
            connect_retry.connect = 0 (environment variable DJANGO_KAFKA__CONNECT_RETRY__CONNECT)
            connect_retry.status_forcelist = 502,503 (environment variable DJANGO_KAFKA__CONNECT_RETRY__STATUS_FORCELIST)"#]],
    );
    check(
        "[connect_auth]\nusername = \"me\"",
        &[("DJANGO_KAFKA__CONNECT_AUTH__PASSWORD", "hidden")],
        &expect![[r#"
            connect_auth.username = me (django-kafka.toml:2)
            connect_auth.password = *** (environment variable DJANGO_KAFKA__CONNECT_AUTH__PASSWORD)"#]],
    );
    let settings = parse("connect_auth = \"me:hid:den\"", &[]).expect("nothing is wrong");
    assert_eq!(settings.connect_auth, Some(ConnectAuth::new("me", "hid:den")));
    assert_eq!(format!("{:?}", settings.connect_auth), r#"Some(ConnectAuth { username: "me", .. })"#);
}

#[test]
fn what_is_wrong_is_said_without_the_secret() {
    check(
        r#"
            connect_host = "connect:8083"
            connect_auth = ["only-hidden"]
            connect_requests_timeout = 0
            connector_name_prefix = "sh/op"

            [connect_retry]
            conect = 1
            read = -1
            status_forcelist = [200]
        "#,
        &[],
        &expect![[r#"
            7 mistakes in the settings:
              django-kafka.toml:2: `connect_host`: expected an address such as "http://connect:8083", found "connect:8083"
              django-kafka.toml:3: `connect_auth`: expected a name and a password, as in `connect_auth = ["name", "password"]`
              django-kafka.toml:4: `connect_requests_timeout`: expected a time above 0: seconds, or text like "500ms" or "2m", found 0
              django-kafka.toml:5: `connector_name_prefix`: expected the beginning of a name (`sh/op` has '/' at position 3; a name may contain only letters, digits, '.', '_' and '-'), found "sh/op"
              django-kafka.toml:8: `connect_retry.conect`: unknown setting; did you mean `connect`?
              django-kafka.toml:9: `connect_retry.read`: expected an integer from 0 to 100, found -1
              django-kafka.toml:10: `connect_retry.status_forcelist`: expected a list of HTTP statuses, such as [502, 503, 504], found a list"#]],
    );
    check(
        "connect_auth = \"hidden\"",
        &[],
        &expect![[
            r#"django-kafka.toml:1: `connect_auth`: expected a name and a password, as in `connect_auth = ["name", "password"]`"#
        ]],
    );
    check(
        "[connect_auth]\npassword = \"hidden\"",
        &[],
        &expect!["django-kafka.toml:1: `connect_auth`: needs both `username` and `password`"],
    );
    check(
        "connect_host = \"http://me:hidden@connect:8083\"\nconnect_auth = [\"me\", \"x\"]",
        &[],
        &expect![
            "django-kafka.toml:1: `connect_host`: has a user name, and `connect_auth` has one too: take it out here"
        ],
    );
    check(
        "connect_host = \"me:hidden@connect\"",
        &[],
        &expect![[
            r#"django-kafka.toml:1: `connect_host`: expected an address such as "http://connect:8083", found text"#
        ]],
    );
    check(
        "connect_host = \"ftp://me:hidden@connect\"",
        &[],
        &expect![[
            r#"django-kafka.toml:1: `connect_host`: expected an address such as "http://connect:8083", found "ftp://***@connect""#
        ]],
    );
}

#[cfg(not(feature = "https"))]
#[test]
fn https_needs_its_feature() {
    check(
        "connect_host = \"https://connect\"",
        &[],
        &expect![[
            r#"django-kafka.toml:1: `connect_host`: expected an `http://` address, since this program is built without the feature `https` of django-kafka-rs, found "https://connect""#
        ]],
    );
}
