//! What retry topics cost: the rate where one message in a hundred fails for good, beside the rate where none does, and
//! how long after its delay a retry is handled.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::broker::Committed;
use crate::messages::{Left, Work};
use crate::process::{Standing, wait};
use crate::{Bench, Failure, KEYS, Options, PARTITIONS, Place, messages, process, report};

/// The delay of the service's topics.
const DELAY: Duration = Duration::from_secs(1);

pub(crate) fn bench(options: &Options, bench: &Bench) -> Result<(), Failure> {
    for &count in &options.messages {
        report::say(&format!("{count} messages of {KEYS} keys on {PARTITIONS} partitions, with retry topics"))?;
        let mut cases = Vec::new();
        for (label, one_fails_in) in [("none fails", None), ("1 % fails", Some(100))] {
            let topic = format!("{}_{count}_{}", bench.name, one_fails_in.map_or("none", |_| "some"));
            bench.broker.create_topic(&topic, PARTITIONS)?;
            let work = Work { one_fails_in, ..Work::plain(&topic, count) };
            let left = messages::produce(bench.broker.servers(), &work)?;
            cases.push(Case { label, topic, left, count, rates: Vec::new() });
        }
        for round in usize::from(!options.warm_up)..=options.rounds {
            for case in &mut cases {
                case.run(round, bench)?;
            }
        }
        // Of runs that follow each other: what else the machine does changes more slowly than that.
        let pairs = cases[0].rates.iter().zip(&cases[1].rates);
        let mut ratios: Vec<f64> = pairs.map(|(none, some)| some / none).collect();
        ratios.sort_by(f64::total_cmp);
        let median = ratios.get(ratios.len() / 2).copied().unwrap_or_default();
        report::say(&format!(
            "  with 1 % failing: {median:.2} of the rate without (median of {} pairs)",
            ratios.len()
        ))?;
    }
    let messages = if options.warm_up { 2_000 } else { 50 };
    latency(messages, bench)
}

struct Case {
    label: &'static str,
    topic: String,
    left: Left,
    count: u64,
    rates: Vec<f64>,
}

impl Case {
    /// Round 0 is not counted.
    fn run(&mut self, round: usize, bench: &Bench) -> Result<(), Failure> {
        let (broker, database) = (&bench.broker, &bench.database);
        database.empty()?;
        let group = format!("{}_{round}", self.topic);
        let mut service = start(&bench.place(&self.topic, &group), "CheckedAccounts")?;
        let group = format!("{group}.CheckedAccounts");
        let assigned = service.wait_for(|line| line.contains(process::ASSIGNED).then_some(()))?.0;
        let committed = Committed::of(broker.servers(), &self.topic, &group, PARTITIONS)?;
        let passed = wait("everything is passed", || Ok(committed.messages()? == self.count))?;
        let retries = format!("{group}.{}.retry.1", self.topic);
        let letters = self.left.failing;
        let committed = Committed::of(broker.servers(), &retries, &format!("{group}.retry"), PARTITIONS)?;
        let retried = wait("every retry is done", || Ok(letters == 0 || committed.messages()? == letters))?;
        service.end()?;
        let (rows, _) = database.rows(false)?;
        if rows != self.left.rows {
            return Err(format!("the table has {rows} rows, and should have {}", self.left.rows).into());
        }
        let rate = self.count as f64 / (passed - assigned).as_secs_f64();
        report::say(&format!(
            "  {:10} {round}: {rate:>7.0} messages/s; {letters} retried and dead-lettered {:.1} s later",
            self.label,
            (retried - passed).as_secs_f64()
        ))?;
        if round > 0 {
            self.rates.push(rate);
        }
        Ok(())
    }
}

/// How long after a failure, whose delay is a second, the handler is called again: of messages that come one by one.
fn latency(messages: usize, bench: &Bench) -> Result<(), Failure> {
    const BETWEEN: Duration = Duration::from_millis(10);
    let topic = format!("{}_steps", bench.name);
    bench.broker.create_topic(&topic, PARTITIONS)?;
    let mut service = start(&bench.place(&topic, &topic), "Steps")?;
    service.wait_for(|line| line.contains(process::ASSIGNED).then_some(()))?;
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", bench.broker.servers()).set("linger.ms", "0").create()?;
    for n in 0..messages {
        let key = n.to_string();
        producer.send(BaseRecord::to(&topic).key(&key).payload("step")).map_err(|(error, _)| error)?;
        let until = Instant::now() + BETWEEN;
        while Instant::now() < until {
            producer.poll(Duration::from_millis(1));
        }
    }
    producer.flush(Duration::from_secs(10))?;
    let micros = |line: &str| line.strip_prefix("retried after ")?.strip_suffix(" us")?.parse::<u64>().ok();
    let mut late = Vec::with_capacity(messages);
    while late.len() < messages {
        let (_, us) = service.wait_for(micros)?;
        late.push(us as f64 / 1e3 - DELAY.as_secs_f64() * 1e3);
    }
    service.end()?;
    late.sort_by(f64::total_cmp);
    let at = |share: f64| report::quantile(&late, share);
    report::say(&format!(
        "{messages} messages that fail once, retried after 1 s: handled again {:.0} ms after that at the earliest, \
         {:.0} ms at p50, {:.0} ms at p99, {:.0} ms at the latest",
        at(0.0),
        at(0.5),
        at(0.99),
        at(1.0)
    ))
}

fn start(place: &Place<'_>, consumer: &str) -> Result<Standing, Failure> {
    let mut command = place.service();
    command.args(["consume", consumer]);
    // What is done is seen by what is committed.
    command.env("DJANGO_KAFKA__CONSUMER_CONFIG__AUTO_COMMIT_INTERVAL_MS", "50");
    Standing::start(command)
}
