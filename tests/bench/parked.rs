//! Many rows that wait for one: how soon they are all written once it comes, and how much memory that takes.

use std::time::Instant;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::process::{self, Standing, Usage, wait};
use crate::{Bench, Failure, Options, PARTITIONS, report};

const TABLES: &str = "
create table parents (id bigint primary key);
create table children (id bigint primary key, parent_id bigint not null references parents, name text not null)";

pub(crate) fn bench(options: &Options, bench: &Bench) -> Result<(), Failure> {
    bench.database.execute(TABLES)?;
    // Memory must not grow with them.
    let counts = if options.warm_up { [10_000, 100_000] } else { [200, 2_000] };
    for count in counts {
        one(bench, count)?;
    }
    Ok(())
}

fn one(bench: &Bench, count: u64) -> Result<(), Failure> {
    let Bench { broker, database, .. } = bench;
    database.execute("truncate children, parents")?;
    let topic = format!("{}_family_{count}", bench.name);
    let (parents, children) = (format!("{topic}.parents"), format!("{topic}.children"));
    broker.create_topic(&parents, PARTITIONS)?;
    broker.create_topic(&children, PARTITIONS)?;
    let producer = ClientConfig::new().set("bootstrap.servers", broker.servers()).create::<BaseProducer>()?;
    for id in 0..count {
        let (key, value) = (format!(r#"{{"id":{id}}}"#), format!(r#"{{"id":{id},"parent_id":1,"name":"Child {id}"}}"#));
        produce(&producer, &children, &key, &value)?;
    }
    producer.flush(process::RUN_MAX)?;
    let mut command = bench.place(&topic, &topic).service();
    command.args(["consume", "Family"]);
    // What is parked is seen by what is committed.
    command.env("DJANGO_KAFKA__CONSUMER_CONFIG__AUTO_COMMIT_INTERVAL_MS", "50");
    let mut service = Standing::start(command)?;
    let assigned = service.wait_for(|line| line.contains(process::ASSIGNED).then_some(()))?.0;
    let group = format!("{topic}.Family");
    let parked = wait("all are parked", || Ok(broker.committed(&children, &group, PARTITIONS)? == count))?;
    let waiting = database.count("select count(*) as rows from django_kafka_waiting_message")?;
    if waiting != count {
        return Err(format!("{waiting} messages wait, and should be {count}").into());
    }
    let peak_mb =
        |service: &Standing, since: Instant| service.usage().measured(Usage::default(), count, since.elapsed()).peak_mb;
    let peak_parked = peak_mb(&service, assigned);
    produce(&producer, &parents, r#"{"id":1}"#, r#"{"id":1}"#)?;
    producer.flush(process::RUN_MAX)?;
    let came = Instant::now();
    let resolved = wait("nothing waits", || {
        // Cheaper than a count while there are many.
        Ok(database
            .count("select count(*) as rows from (select 1 from django_kafka_waiting_message limit 1) any_of")?
            == 0)
    })?;
    let peak_resolved = peak_mb(&service, came);
    service.end()?;
    let written = database.count("select count(*) as rows from children")?;
    if written != count {
        return Err(format!("{written} children are there, and should be {count}").into());
    }
    report::say(&format!(
        "{count} children of one parent: parked in {:.1} s ({peak_parked:.0} MB), resolved {:.1} s after the parent came \
         ({peak_resolved:.0} MB); load {}",
        (parked - assigned).as_secs_f64(),
        (resolved - came).as_secs_f64(),
        report::load()
    ))
}

fn produce(producer: &BaseProducer, topic: &str, key: &str, value: &str) -> Result<(), Failure> {
    let mut record = BaseRecord::to(topic).key(key).payload(value);
    while let Err((error, again)) = producer.send(record) {
        if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
            return Err(error.into());
        }
        record = again;
        producer.poll(process::LOOK_INTERVAL);
    }
    Ok(())
}
