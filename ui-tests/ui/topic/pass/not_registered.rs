use django_kafka_rs::prelude::*;

use django_kafka_rs::__private::{DECLARATIONS, Declaration};

#[topic(name = "hidden", register = false)]
struct Hidden;

#[topic(name = "seen", register = true)]
struct Seen;

fn main() {
    let names: Vec<_> = DECLARATIONS
        .iter()
        .filter_map(|d| if let Declaration::Topic(topic) = d { Some(topic.name) } else { None })
        .collect();
    assert_eq!(names, ["seen"]);
    assert_eq!(Hidden::DECLARATION.name, "hidden");
    assert!(Seen::__construct().is_some());
}
