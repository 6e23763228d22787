mod facade {
    pub mod kafka {
        pub use ::django_kafka_rs::*;
    }
}

// What stands here under the crate's usual name is something else.
#[allow(dead_code)]
mod django_kafka_rs {}

use facade::kafka::prelude::*;

#[topic(name = "texts", crate = facade::kafka)]
struct Texts;

#[topic(name = "built", crate = crate::facade::kafka)]
#[derive(Default)]
struct Built {
    seen: u64,
}

impl TopicConsumer for Texts {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

impl TopicConsumer for Built {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        if self.seen > 0 { Err("seen".into()) } else { Ok(()) }
    }
}

macro_rules! topic_of_a_facade {
    ($name:ident) => {
        #[topic(name = "dollar", crate = $crate::facade::kafka)]
        struct $name;
    };
}
topic_of_a_facade!(Dollar);

#[connector(config("connector.class" = "org.acme.Source"), crate = facade::kafka)]
struct CrmSource;

#[consumer(group = "crm", topics(Texts, Built), crate = facade::kafka)]
struct Crm;

fn main() {
    assert_eq!(Dollar::DECLARATION.name, "dollar");
    assert_eq!(Crm::DECLARATION.topics.len(), 2);
}
