//! What retry topics cost: the rate where one message in a hundred fails for good, beside the rate where none does, and
//! how long after its delay a retry is handled.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::broker::Broker;
use crate::database::Database;
use crate::messages::Left;
use crate::{Failure, KEYS, Options, PARTITIONS, Place, messages, process, report};

/// A run that takes longer has hung.
const RUN_MAX: Duration = Duration::from_secs(300);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// The delay of the service's topics.
const DELAY: Duration = Duration::from_secs(1);

pub(crate) fn bench(options: &Options, name: &str, broker: &Broker, database: &Database) -> Result<(), Failure> {
    for &count in &options.messages {
        report::say(&format!("{count} messages of {KEYS} keys on {PARTITIONS} partitions, with retry topics"))?;
        let mut cases = Vec::new();
        for (label, one_in) in [("none fails", None), ("1 % fails", Some(100))] {
            let topic = format!("{name}_{count}_{}", one_in.map_or("none", |_| "some"));
            broker.create_topic(&topic, PARTITIONS)?;
            let left = messages::produce(broker.servers(), &topic, count, KEYS, one_in)?;
            cases.push(Case { label, topic, left, count, rates: Vec::new() });
        }
        for round in usize::from(!options.warm_up)..=options.rounds {
            for case in &mut cases {
                case.run(round, broker, database)?;
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
    latency(name, messages, broker, database)
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
    fn run(&mut self, round: usize, broker: &Broker, database: &Database) -> Result<(), Failure> {
        database.empty()?;
        let group = format!("{}_{round}", self.topic);
        let place = Place { servers: broker.servers(), url: database.url(), topic: &self.topic, group: &group };
        let mut service = Service::start(&place, "CheckedAccounts")?;
        let assigned = service.wait_for(|line| line.contains(process::ASSIGNED).then_some(()))?.0;
        let passed =
            wait("everything is passed", || Ok(broker.committed(&self.topic, &group, PARTITIONS)? == self.count))?;
        let retries = format!("{group}.{}.retry.1", self.topic);
        let letters = self.left.failing;
        let retried = wait("every retry is done", || {
            Ok(letters == 0 || broker.committed(&retries, &format!("{group}.retry"), PARTITIONS)? == letters)
        })?;
        service.end()?;
        let (rows, _) = database.rows()?;
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
fn latency(name: &str, messages: usize, broker: &Broker, database: &Database) -> Result<(), Failure> {
    const BETWEEN: Duration = Duration::from_millis(10);
    let topic = format!("{name}_steps");
    broker.create_topic(&topic, PARTITIONS)?;
    let place = Place { servers: broker.servers(), url: database.url(), topic: &topic, group: &topic };
    let mut service = Service::start(&place, "Steps")?;
    service.wait_for(|line| line.contains(process::ASSIGNED).then_some(()))?;
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", broker.servers()).set("linger.ms", "0").create()?;
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
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize];
    report::say(&format!(
        "{messages} messages that fail once, retried after 1 s: handled again {:.0} ms after that at the earliest, \
         {:.0} ms at p50, {:.0} ms at p99, {:.0} ms at the latest",
        at(0.0),
        at(0.5),
        at(0.99),
        at(1.0)
    ))
}

/// A service that runs until it is told to end, and its lines with their times.
struct Service {
    child: Child,
    lines: mpsc::Receiver<(Instant, String)>,
}

impl Service {
    fn start(place: &Place<'_>, consumer: &str) -> Result<Self, Failure> {
        let mut command = place.service();
        command.args(["consume", consumer]);
        // What is done is seen by what is committed.
        command.env("DJANGO_KAFKA__CONSUMER_CONFIG__AUTO_COMMIT_INTERVAL_MS", "50");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let stderr = child.stderr.take().ok_or("no standard error")?;
        let forward = |lines: std::io::Lines<_>, sender: mpsc::Sender<_>| {
            lines.map_while(Result::ok).try_for_each(|line: String| sender.send((Instant::now(), line)))
        };
        let to_output = sender.clone();
        std::thread::spawn(move || {
            forward(BufReader::new(Box::new(stdout) as Box<dyn std::io::Read>).lines(), to_output)
        });
        std::thread::spawn(move || forward(BufReader::new(Box::new(stderr) as Box<dyn std::io::Read>).lines(), sender));
        Ok(Self { child, lines })
    }

    /// The next line in which this is found, and when it was said.
    fn wait_for<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> Result<(Instant, T), Failure> {
        let until = Instant::now() + RUN_MAX;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let (at, line) = self.lines.recv_timeout(left).map_err(|_| "the service has not said what it should")?;
            if let Some(found) = find(&line) {
                return Ok((at, found));
            }
        }
    }

    fn end(mut self) -> Result<(), Failure> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the service: {status}").into()) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until it is so; gives when that was seen.
fn wait(what: &str, mut is_so: impl FnMut() -> Result<bool, Failure>) -> Result<Instant, Failure> {
    let until = Instant::now() + RUN_MAX;
    while !is_so()? {
        if Instant::now() > until {
            return Err(format!("{what}: not within {RUN_MAX:?}").into());
        }
        std::thread::park_timeout(LOOK_INTERVAL);
    }
    Ok(Instant::now())
}
