//! Several instances of a service in one group: what one leaves, in order or not, another one goes on with.

use crate::scene::{Protocol, Scene};

const CHANGES: u64 = 20_000;
const KEYS: u64 = 2_000;

/// One of two members is killed in the middle of the load.
fn a_killed_member_leaves_its_work(mut scene: Scene) {
    let first = scene.join("first", "one");
    let second = scene.join("second", "two");
    let caught = (1..=4).any(|times| {
        let before = scene.load.changes();
        // Both stand still while the load is produced, or they would be done with it by then.
        first.signal("-STOP");
        second.signal("-STOP");
        scene.load.produce(&scene.broker, CHANGES * times, KEYS);
        first.signal("-CONT");
        second.signal("-CONT");
        scene.load.wait_for_progress(&scene.replica, before, CHANGES / 5);
        first.signal("-STOP");
        let caught = scene.load.compare(&scene.replica).is_err();
        if !caught {
            first.signal("-CONT");
        }
        caught
    });
    assert!(caught, "killed too late to show anything");
    first.kill();
    // Static members get their partitions back without a rebalance.
    let again = (scene.protocol == Protocol::Static).then(|| scene.join("again", "one"));
    scene.load.wait_until_equal(&scene.replica);
    second.end();
    if let Some(again) = again {
        again.end();
    }
    assert_eq!(scene.left_over(), 0, "all of it is committed");
    scene.load.compare(&scene.replica).unwrap();
}

/// A member joins in the middle of the load, and later the other one leaves: each message is handled once.
fn partitions_are_handed_over(protocol: Protocol) {
    let mut scene = Scene::new(protocol);
    let first = scene.join("first", "one");
    scene.load.produce(&scene.broker, CHANGES, KEYS);
    scene.load.wait_for_progress(&scene.replica, 0, CHANGES / 10);
    let second = scene.join("second", "two");
    scene.load.produce(&scene.broker, CHANGES, KEYS);
    let by_first = first.end();
    let log = second.log();
    scene.load.wait_until_equal(&scene.replica);
    let by_second = second.end();
    assert_eq!(by_first + by_second, scene.load.changes(), "each message once\n{log}");
    assert!(by_first > 0 && by_second > 0, "{by_first} and {by_second}");
    assert_eq!(scene.left_over(), 0);
}

#[test]
fn a_killed_member_leaves_its_work_to_the_group_eager() {
    a_killed_member_leaves_its_work(Scene::new(Protocol::Eager));
}

#[test]
fn a_killed_member_leaves_its_work_to_the_group_on_sqlite() {
    a_killed_member_leaves_its_work(Scene::on_sqlite(Protocol::Cooperative));
}

#[test]
fn a_killed_member_leaves_its_work_to_the_group_cooperative() {
    a_killed_member_leaves_its_work(Scene::new(Protocol::Cooperative));
}

#[test]
fn a_killed_member_leaves_its_work_to_the_group_by_the_consumer_protocol() {
    a_killed_member_leaves_its_work(Scene::new(Protocol::Consumer));
}

#[test]
fn a_killed_static_member_that_returns_goes_on_with_its_work() {
    a_killed_member_leaves_its_work(Scene::new(Protocol::Static));
}

#[test]
fn partitions_are_handed_over_eager() {
    partitions_are_handed_over(Protocol::Eager);
}

#[test]
fn partitions_are_handed_over_cooperative() {
    partitions_are_handed_over(Protocol::Cooperative);
}

#[test]
fn partitions_are_handed_over_by_the_consumer_protocol() {
    partitions_are_handed_over(Protocol::Consumer);
}
