use django_kafka_rs::prelude::*;

#[topic(name = "public.orders")]
#[derive(TopicReproducer)]
struct PublicOrders;

#[topic(name = "public.lines")]
#[derive(TopicReproducer)]
#[reproduce(namespace = "dbz.public")]
struct PublicLines;

#[topic(name = "public.parts")]
#[derive(TopicReproducer)]
#[reproduce()]
struct PublicParts;

impl Reproduce for PublicOrders {
    type Model = ();

    async fn reproduce(&self, _: &Record<Reproducer<Self>>, _: &Context) -> ConsumeResult {
        Ok(())
    }
}

fn main() {}
