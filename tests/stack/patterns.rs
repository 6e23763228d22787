//! A topic declared as a pattern, on the real broker.

use crate::harness::{Broker, ServiceConfig, fresh_name, handled, wait_until};

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn a_pattern_takes_what_comes_but_not_its_own_dead_letters() {
    let name = fresh_name("pat");
    let topic = |end: &str| format!("{name}.{end}");
    let broker = Broker::new(&name);
    for end in ["first", "exact", "left-out"] {
        broker.create_topic(&topic(end), 2);
    }
    let folder = tempfile::tempdir().unwrap();
    let config = ServiceConfig::new(folder.path())
        .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", broker.servers())
        .set("CONSUMER_CONFIG__TOPIC_METADATA_REFRESH_INTERVAL_MS", "500")
        // The user's own list stays in force beside ours.
        .set("CONSUMER_CONFIG__TOPIC_BLACKLIST", format!("^{name}.left-out$"))
        .set("TOPIC_VARIABLES__PREFIX", &name);
    let send = |end: &str, value: &str| broker.send(&topic(end), "key", Some(value.as_bytes()));
    send("first", "bad");
    send("first", "one");
    send("exact", "two");
    send("left-out", "never");
    let service = config.start("service", &["consume", "Pattern"]);
    let dead_letters = format!("{name}.{name}.first.dlt");
    wait_until("the dead letter topic is there", || broker.topics().contains(&dead_letters));
    // A topic that comes later than the dead letter topic: when it is found, that one was seen too.
    broker.create_topic(&topic("late"), 2);
    send("late", "three");
    broker.flush();
    let wanted = [
        format!("exact {} two", topic("exact")),
        format!("pattern {} one", topic("first")),
        format!("pattern {} three", topic("late")),
    ];
    wait_until("all messages are handled", || sorted(service.output()) == wanted);
    assert_eq!(service.end(), 4, "with the bad one");
    assert_eq!(broker.read(&dead_letters).len(), 1);
    let mut topics = broker.topics();
    topics.sort();
    let mut expected = ["exact", "first", "late", "left-out"].map(topic).to_vec();
    expected.push(dead_letters);
    expected.sort();
    assert_eq!(topics, expected, "no dead letters of dead letters");
    assert_eq!(handled(&config.run(&["consume", "Pattern", "--until-end"])), 0);
}
