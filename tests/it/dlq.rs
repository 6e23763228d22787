//! `dlq`: dead letters of a service, read back and handled again by processes of their own.

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use expect_test::expect;
use serde_json::Value;

use crate::service::{Place, finish, refused};

/// A migrated place, where customers with these names are refused.
fn place() -> Place {
    let place = Place::new();
    for topic in ["shop-crm.shop.customers.dlt", "shop-crm.shop.commands.dlt"] {
        // The service would try to, and wait: this broker knows no such request.
        place.broker.create_topic(topic).unwrap();
    }
    assert_eq!(place.run(&["migrate"]).0, 0);
    execute(
        &place,
        "CREATE TABLE unwelcome (name TEXT PRIMARY KEY);
         CREATE TRIGGER door BEFORE INSERT ON customers WHEN new.name IN (SELECT name FROM unwelcome)
         BEGIN SELECT RAISE(ABORT, 'not welcome'); END;",
    );
    place
}

fn execute(place: &Place, sql: &str) {
    let mut conn = SqliteConnection::establish(place.database().to_str().unwrap()).unwrap();
    conn.batch_execute(&format!("PRAGMA busy_timeout = 5000; {sql}")).unwrap();
}

/// Runs a command that is to end with this code; gives what it says.
fn run(place: &Place, code: i32, arguments: &[&str]) -> String {
    let (found, stdout, stderr) = place.run(arguments);
    assert_eq!(found, code, "{stdout}{stderr}");
    stdout
}

fn json(place: &Place, code: i32, arguments: &[&str]) -> Value {
    serde_json::from_str(&run(place, code, arguments)).unwrap()
}

/// The first read offsets of what `list` has.
fn offsets(place: &Place, arguments: &[&str]) -> Vec<i64> {
    let found = json(place, 0, &[&["dlq", "list", "--json"], arguments].concat());
    let mut offsets: Vec<i64> = found["letters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|letter| {
            letter["origin"]["offset"].as_i64().unwrap() + 100 * letter["origin"]["partition"].as_i64().unwrap()
        })
        .collect();
    offsets.sort_unstable();
    offsets
}

/// Five customers of which two are refused.
async fn two_refused(place: &Place) {
    execute(place, "INSERT INTO unwelcome VALUES ('Eve'), ('Mallory')");
    for (id, name) in [(1, "Ann"), (2, "Eve"), (3, "Bob"), (4, "Mallory"), (5, "Cid")] {
        place.customer(id, name).await;
    }
    run(place, 0, &["consume", "--until-end"]);
    assert_eq!(place.names(), ["Ann", "Bob", "Cid"]);
}

#[tokio::test]
async fn letters_are_handled_again_once_and_those_that_fail_again_stay() {
    let place = place();
    two_refused(&place).await;
    let before = offsets(&place, &[]);
    assert_eq!(before.len(), 2);

    let text = run(&place, 1, &["dlq", "replay"]);
    assert!(text.contains("replayed 0 dead letters; 2 failed again and stay"), "{text}");
    assert!(text.contains("failed again: ") && text.contains("not welcome"), "{text}");
    assert_eq!(offsets(&place, &[]), before, "nothing has become of them, and there is no other letter");

    execute(&place, "DELETE FROM unwelcome WHERE name = 'Mallory'");
    let report = json(&place, 1, &["dlq", "replay", "--json"]);
    assert_eq!((&report["replayed"], &report["failed"]), (&1.into(), &1.into()));
    assert_eq!(place.names(), ["Ann", "Bob", "Mallory", "Cid"]);
    assert_eq!(offsets(&place, &[]).len(), 1);
    assert_eq!(offsets(&place, &["--all"]), before);

    execute(&place, "DELETE FROM unwelcome; DELETE FROM customers WHERE name = 'Mallory'");
    let text = run(&place, 0, &["dlq", "replay", "--dry-run"]);
    assert!(text.ends_with("would replay 1 dead letter\n"), "{text}");
    assert_eq!(place.names(), ["Ann", "Bob", "Cid"]);
    assert_eq!(run(&place, 0, &["dlq", "replay"]), "replayed 1 dead letter\n");
    assert_eq!(place.names(), ["Ann", "Eve", "Bob", "Cid"], "the one that was replayed before is not replayed again");
    assert_eq!(run(&place, 0, &["dlq", "replay"]), "replayed 0 dead letters\n");
    let text = run(&place, 0, &["dlq", "list"]);
    assert_eq!(text, "no dead letters\nleft out: 2 that were replayed (`--all` has them too)\n");
}

#[tokio::test]
async fn what_a_selection_leaves_out_stays_to_be_replayed() {
    let place = place();
    for _ in 0..4 {
        place.tell("fail").await;
    }
    execute(&place, "INSERT INTO unwelcome VALUES ('Eve'), ('Mallory')");
    for id in 0..10 {
        place.customer(id, if id % 2 == 0 { "Eve" } else { "Mallory" }).await;
    }
    run(&place, 0, &["consume", "--until-end"]);
    assert_eq!(offsets(&place, &["--topic", "shop.customers"]).len(), 10);
    assert_eq!(offsets(&place, &["--topic", "shop-crm.shop.commands.dlt"]).len(), 4);
    assert_eq!(offsets(&place, &["--match", "TOLD to fail"]).len(), 4);
    assert_eq!(offsets(&place, &["--since", "1h", "--consumer", "Crm", "--group", "shop-crm"]).len(), 14);
    assert_eq!(offsets(&place, &["--until", "1h"]).len(), 0);
    let limited = json(&place, 0, &["dlq", "list", "--json", "--limit", "3"]);
    assert_eq!((limited["letters"].as_array().unwrap().len(), &limited["beyond_limit"]), (3, &11.into()));

    execute(&place, "DELETE FROM unwelcome");
    let listed = json(&place, 0, &["dlq", "list", "--json", "--topic", "shop.customers"]);
    let names: Vec<&str> =
        listed["letters"].as_array().unwrap().iter().map(|l| l["letter"].as_str().unwrap()).collect();
    let report = json(&place, 0, &["dlq", "replay", "--json", names[3], names[7]]);
    assert_eq!(report["replayed"], 2);
    let left = json(&place, 0, &["dlq", "list", "--json", "--topic", "shop.customers"]);
    let left: Vec<&str> = left["letters"].as_array().unwrap().iter().map(|l| l["letter"].as_str().unwrap()).collect();
    let expected: Vec<&str> =
        names.iter().enumerate().filter(|(n, _)| *n != 3 && *n != 7).map(|(_, name)| *name).collect();
    assert_eq!(left, expected);
    let report = json(&place, 0, &["dlq", "replay", "--json", "--topic", "shop.customers", "--limit", "5"]);
    assert_eq!(report["replayed"], 5);
    let text = run(&place, 1, &["dlq", "replay"]);
    assert!(text.ends_with("replayed 3 dead letters; 4 failed again and stay\n"), "{text}");
    assert_eq!(place.names().len(), 10);
}

#[tokio::test]
async fn a_letter_is_shown_with_all_that_is_known_of_it() {
    let place = place();
    two_refused(&place).await;
    let letters = json(&place, 0, &["dlq", "show", "--json"]);
    let letter = letters["letters"].as_array().unwrap().iter().find(|l| l["value"].as_str().unwrap().contains("Eve"));
    let letter = letter.unwrap();
    assert_eq!(letter["key"], r#"{"id":2}"#);
    assert_eq!((&letter["attempts"], &letter["consumer"]), (&2.into(), &"Crm".into()));
    assert!(letter["summary"].as_str().unwrap().contains("not welcome"), "{letter}");
    let id = letter["letter"].as_str().unwrap();
    let text = run(&place, 0, &["dlq", "show", id]);
    assert!(text.starts_with(&format!("{id}\n  consumer    Crm (group shop-crm)\n  failed      20")), "{text}");
    assert!(text.contains(r#"{"email":null,"id":2,"name":"Eve"}"#), "{text}");
}

#[tokio::test]
async fn a_letter_that_a_newer_message_has_superseded_is_passed_over_unless_forced() {
    let place = place();
    let with_tracker = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command
            .env("DJANGO_KAFKA__KEY_OFFSET_TRACKER__GROUP_ID", "shop-key-offsets")
            .env("DJANGO_KAFKA__RETRY_SETTINGS__MAX_RETRIES", "0")
            .env("DJANGO_KAFKA__RETRY_SETTINGS__USE_OFFSET_TRACKER", "true");
        finish(command)
    };
    place.tell("fail").await;
    place.tell("good").await;
    let (code, stdout, stderr) = with_tracker(&["consume", "--until-end"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    // No relational error: a dead letter, whatever came after it.
    assert_eq!(offsets(&place, &[]).len(), 1);

    let (code, stdout, _) = with_tracker(&["dlq", "replay", "--force"]);
    assert_eq!((code, stdout.contains("1 failed again and stay")), (1, true), "{stdout}");
    let (code, stdout, _) = with_tracker(&["dlq", "replay"]);
    assert_eq!((code, stdout.contains("1 were superseded by newer messages")), (0, true), "{stdout}");
    assert_eq!(offsets(&place, &[]).len(), 0, "it is done with");

    let (code, stdout, _) = with_tracker(&["topics"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("KeyOffsetTracker"), "{stdout}");
    let (code, stdout, stderr) = with_tracker(&["consume", "KeyOffsetTracker", "--until-end"]);
    assert_eq!((code, stdout.starts_with("done: 0 messages")), (0, true), "{stdout}{stderr}");
}

#[tokio::test]
async fn what_cannot_be_says_so() {
    let place = place();
    refused(
        place.command(&["dlq", "list", "--embedded"]),
        2,
        &expect![
            "error: the embedded broker begins empty with each program, so it has no dead letters of earlier ones: name a real broker (`bootstrap.servers`), and leave `--embedded` out"
        ],
    );
    refused(
        place.command(&["dlq", "list", "--consumer", "Nope"]),
        2,
        &expect!["error: there is no consumer `Nope`; there are: Crm"],
    );
    refused(
        place.command(&["dlq", "list", "--group", "nope"]),
        2,
        &expect!["error: there is no consumer group `nope`; there are: shop-crm"],
    );
    let (code, _, stderr) = place.run(&["dlq", "show", "somewhere"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("a letter is named by TOPIC/PARTITION/OFFSET, as `dlq list` does"), "{stderr}");
    assert_eq!(run(&place, 0, &["dlq", "list"]), "no dead letters\n");
}
