//! A topic is deleted and created anew while a service consumes it: its offsets begin again.
//!
//! One case is beyond us: created anew before the client has noticed (it looks after
//! `topic.metadata.refresh.interval.ms`), and soon longer than what was read of the old one. The client then goes on at
//! its old position, and nothing tells that the messages there are others.

use crate::scene::{Protocol, Scene};

const CHANGES: u64 = 2_000;
/// Mostly a key for each change, so that a change which is passed over is seen.
const KEYS: u64 = 100_003;

/// The new topic is there before the group notices anything, and has fewer messages.
fn before_the_group_notices(protocol: Protocol) {
    let mut scene = Scene::new(protocol);
    let service = scene.join("service", "one");
    scene.load.produce(&scene.broker, CHANGES, KEYS);
    scene.load.wait_until_equal(&scene.replica);
    let topic = scene.load.topic().to_owned();
    scene.broker.delete_topic(&topic);
    scene.broker.create_topic(&topic, 4);
    scene.load.produce(&scene.broker, CHANGES / 2, KEYS);
    scene.load.wait_until_equal(&scene.replica);
    service.end();
    assert_eq!(scene.left_over(), 0);
}

#[test]
fn a_shorter_topic_created_anew_at_once_is_read_from_its_beginning() {
    before_the_group_notices(Protocol::Cooperative);
}

#[test]
fn a_shorter_topic_created_anew_at_once_is_read_from_its_beginning_by_the_consumer_protocol() {
    before_the_group_notices(Protocol::Consumer);
}
