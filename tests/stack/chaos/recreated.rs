//! A topic is deleted and created anew while a service consumes it: its offsets begin again.

use crate::scene::{Protocol, Scene};

const CHANGES: u64 = 2_000;
const KEYS: u64 = 200;

/// The new topic has as many messages as this many times the old one.
fn read_from_its_beginning(protocol: Protocol, times: [u64; 2]) {
    let mut scene = Scene::new(protocol);
    let service = scene.join("service", "one");
    let topic = scene.load.topic().to_owned();
    for times in times {
        scene.load.produce(&scene.broker, CHANGES * times, KEYS);
        scene.load.wait_until_equal(&scene.replica);
        scene.broker.delete_topic(&topic);
        scene.broker.create_topic(&topic, 4);
    }
    scene.load.produce(&scene.broker, CHANGES, KEYS);
    scene.load.wait_until_equal(&scene.replica);
    service.end();
    assert_eq!(scene.left_over(), 0);
}

#[test]
fn a_topic_created_anew_is_read_from_its_beginning() {
    read_from_its_beginning(Protocol::Cooperative, [1, 4]);
}

#[test]
fn a_topic_created_anew_is_read_from_its_beginning_by_the_consumer_protocol() {
    read_from_its_beginning(Protocol::Consumer, [1, 4]);
}
