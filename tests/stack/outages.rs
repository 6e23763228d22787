//! What stands still or goes away for a while: the broker, the database, a process. Nothing is lost, and nothing that
//! a newer change wrote is written over.

use std::time::{Duration, Instant};

use crate::harness::{OwnStack, Service, address, wait_for};
use crate::scene::{Protocol, Scene};

const CHANGES: u64 = 20_000;
const KEYS: u64 = 2_000;

/// A member is stopped in the middle of a load, past the end of its session; another one takes over; then it wakes.
fn a_member_that_wakes_overwrites_nothing(protocol: Protocol) {
    let mut scene = Scene::new(protocol);
    let mut members = [scene.join("first", "one"), scene.join("second", "two")];
    for round in 0..2 {
        let [sleeper, other] = &mut members;
        let (mut mark, mut mark_other) = (0, 0);
        let caught = (1..=4).any(|times| {
            let before = scene.load.changes();
            // Both stand still while the load is produced, or they would be done with it by then.
            sleeper.signal("-STOP");
            other.signal("-STOP");
            scene.load.produce(&scene.broker, CHANGES * times, KEYS);
            (mark, mark_other) = (sleeper.log().len(), other.log().len());
            sleeper.signal("-CONT");
            other.signal("-CONT");
            scene.load.wait_for_progress(&scene.replica, before, CHANGES / 5);
            sleeper.signal("-STOP");
            let caught = scene.load.compare(&scene.replica).is_err();
            if !caught {
                sleeper.signal("-CONT");
            }
            caught
        });
        assert!(caught, "stopped too late to show anything");
        other.wait_for_log_from(mark_other, " assigned ");
        scene.load.produce(&scene.broker, CHANGES / 10, KEYS);
        // The other one gets this far now, unless the sleeper holds the database's lock.
        let until = Instant::now() + Duration::from_secs(5);
        while scene.load.compare(&scene.replica).is_err() && Instant::now() < until {
            std::thread::yield_now();
        }
        sleeper.signal("-CONT");
        sleeper.wait_for_log_from(mark, "stood still");
        scene.load.wait_until_equal(&scene.replica);
        sleeper.wait_for_log_from(mark, " assigned ");
        scene.load.produce(&scene.broker, CHANGES / 10, KEYS);
        scene.load.wait_until_equal(&scene.replica);
        assert!(sleeper.log().contains("stood still"), "round {round}");
        members.reverse();
    }
    for member in members {
        member.end();
    }
    assert_eq!(scene.left_over(), 0);
    scene.load.compare(&scene.replica).unwrap();
}

#[test]
fn a_member_that_wakes_after_its_session_overwrites_nothing() {
    a_member_that_wakes_overwrites_nothing(Protocol::Eager);
}

#[test]
fn a_member_that_wakes_after_its_session_overwrites_nothing_by_the_consumer_protocol() {
    a_member_that_wakes_overwrites_nothing(Protocol::Consumer);
}

#[test]
fn a_restarted_broker_loses_nothing() {
    let stack = OwnStack::start(&["kafka"]);
    let mut scene = Scene::at(&stack.servers(), &address("DATABASE_URL"), Protocol::Cooperative);
    let service = scene.join("service", "one");
    scene.load.produce(&scene.broker, CHANGES, KEYS);
    scene.load.wait_for_progress(&scene.replica, 0, CHANGES / 5);
    stack.down(&["kafka"]);
    stack.up(&["kafka"]);
    scene.load.produce(&scene.broker, CHANGES, KEYS);
    scene.load.wait_until_equal(&scene.replica);
    service.end();
    assert_eq!(scene.left_over(), 0);
}

#[test]
fn a_restarted_database_loses_nothing() {
    let stack = OwnStack::start(&["postgres"]);
    let mut scene = Scene::at(&address("KAFKA_BOOTSTRAP"), &stack.database_url(), Protocol::Cooperative);
    let mut service = scene.join("service", "one");
    scene.load.produce(&scene.broker, CHANGES, KEYS);
    scene.load.wait_for_progress(&scene.replica, 0, CHANGES / 5);
    stack.down(&["postgres"]);
    // All that came before may be in the table already.
    scene.load.produce(&scene.broker, CHANGES, KEYS);
    service.wait_for_log("waits for the database");
    stack.up(&["postgres"]);
    scene.load.wait_until_equal(&scene.replica);
    service.end();
    assert_eq!(scene.left_over(), 0);
    assert_eq!(scene.broker.topics().len(), 1, "no dead letter topic: an outage is nobody's fault");
}

/// Who balances load sends it elsewhere meanwhile; who restarts processes leaves this one alone.
#[test]
fn a_service_is_not_ready_while_its_database_is_away_and_lives_on() {
    let stack = OwnStack::start(&["postgres"]);
    let mut scene = Scene::at(&address("KAFKA_BOOTSTRAP"), &stack.database_url(), Protocol::Cooperative);
    scene.config = scene.config.set("METRICS__LISTEN", "127.0.0.1:0");
    let mut service = scene.join("service", "one");
    let ok = (200, "ok\n".to_owned());
    let ready = |service: &mut Service| match service.get("/ready") {
        answer if answer == ok => Ok(()),
        answer => Err(format!("{answer:?}")),
    };
    // What was asked less than a second ago is shown as it was.
    let gauge = |service: &mut Service, wanted: u8| match service.get("/metrics") {
        (200, text) if text.contains(&format!("\ndjango_kafka_database_up {wanted}\n")) => Ok(()),
        answer => Err(format!("{answer:?}")),
    };
    for _ in 0..2 {
        wait_for("the service is ready", || ready(&mut service));
        wait_for("the gauge says so", || gauge(&mut service, 1));
        stack.down(&["postgres"]);
        let why = wait_for("the service says that it is not ready", || match service.get("/ready") {
            (503, why) => Ok(why),
            answer => Err(format!("{answer:?}")),
        });
        assert_eq!(why, "the database does not answer; the log says why\n", "and no address: anybody may ask");
        service.wait_for_log("not ready: the database `postgres://dkrs:***@");
        assert_eq!(service.get("/live"), ok, "a new process would not reach it either");
        wait_for("the gauge falls", || gauge(&mut service, 0));
        stack.up(&["postgres"]);
    }
    wait_for("the service is ready again", || ready(&mut service));
    scene.load.produce(&scene.broker, CHANGES / 10, KEYS);
    scene.load.wait_until_equal(&scene.replica);
    service.end();
}
