//! How soon a single change is in the table, of a service at rest: from before the change is sent to when another
//! connection sees its row, and the same from the broker's acknowledgement. The broker's own time lies between the two.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::messages::random_of;
use crate::process::{ASSIGNED, Standing};
use crate::{Bench, Failure, Options, PARTITIONS, report};

/// Between two changes, by chance: the service is at rest, and in no step with us.
const BETWEEN_MS: std::ops::Range<u64> = 40..160;
/// A change that takes longer is lost.
const CHANGE_MAX: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_micros(300);
/// Not counted: connections are made, statements prepared.
const WARM_UP: u64 = 20;

pub(crate) fn bench(options: &Options, bench: &Bench) -> Result<(), Failure> {
    let changes = if options.warm_up { 500 } else { 20 };
    for consumer in ["Accounts", "FullAccounts"] {
        let topic = format!("{}_{consumer}", bench.name);
        bench.broker.create_topic(&topic, PARTITIONS)?;
        bench.database.empty()?;
        let mut command = bench.place(&topic, &topic).service();
        command.args(["consume", consumer]);
        let mut service = Standing::start(command)?;
        service.wait_for(|line| line.contains(ASSIGNED).then_some(()))?;
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", bench.broker.servers()).set("linger.ms", "0").create()?;
        let mut conn = PgConnection::establish(bench.database.url())?;
        let (mut since_sent, mut since_acknowledged) = (Vec::new(), Vec::new());
        for change in 0..WARM_UP + changes {
            let (sent, acknowledged) = one(&producer, &mut conn, &topic, change)?;
            if change >= WARM_UP {
                since_sent.push(sent);
                since_acknowledged.push(acknowledged);
            }
        }
        service.end()?;
        report::say(&format!("{consumer}, {changes} single changes, in milliseconds:"))?;
        say("since it was sent", since_sent)?;
        say("since the broker's acknowledgement", since_acknowledged)?;
    }
    Ok(())
}

/// In milliseconds: since it was sent, and since the broker acknowledged it.
fn one(producer: &BaseProducer, conn: &mut PgConnection, topic: &str, version: u64) -> Result<(f64, f64), Failure> {
    let random = random_of(version);
    let at_rest = Duration::from_millis(BETWEEN_MS.start + random % (BETWEEN_MS.end - BETWEEN_MS.start));
    let until = Instant::now() + at_rest;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        producer.poll(left);
    }
    let id = (random % 1_000) as i64;
    let key = format!(r#"{{"id":{id}}}"#);
    let value = format!(
        r#"{{"id":{id},"name":"Account {id}","email":null,"active":true,"score":1.5,"version":{version},"born":1,"updated":1}}"#
    );
    let sent = Instant::now();
    producer.send(BaseRecord::to(topic).key(&key).payload(&value)).map_err(|(error, _)| error)?;
    // `flush` looks only every tenth of a second.
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(1));
    }
    let acknowledged = Instant::now();
    while seen(conn, id)? != Some(version as i64) {
        if sent.elapsed() > CHANGE_MAX {
            return Err(format!("change {version} is not in the table after {CHANGE_MAX:?}").into());
        }
        // Else the looking itself takes a processor from those who are measured.
        std::thread::park_timeout(LOOK_INTERVAL);
    }
    let now = Instant::now();
    let ms = |since: Instant| (now - since).as_secs_f64() * 1e3;
    Ok((ms(sent), ms(acknowledged)))
}

fn seen(conn: &mut PgConnection, id: i64) -> Result<Option<i64>, Failure> {
    diesel::table! {
        accounts (id) {
            id -> BigInt,
            version -> BigInt,
        }
    }
    // By the builder, whose statements are prepared once.
    Ok(accounts::table.find(id).select(accounts::version).first(conn).optional()?)
}

fn say(what: &str, mut values: Vec<f64>) -> Result<(), Failure> {
    values.sort_by(f64::total_cmp);
    let at = |share| report::quantile(&values, share);
    report::say(&format!("  {what}: {:.1} at p50, {:.1} at p99, {:.1} at most", at(0.5), at(0.99), at(1.0)))
}
