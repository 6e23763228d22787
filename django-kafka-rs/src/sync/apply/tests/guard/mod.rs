//! Late messages overwrite nothing newer: the rows are those of the messages that succeeded, in the topic's order,
//! whatever fails, is retried, is doubled or is interrupted in between.

mod cases;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::Clock;
use crate::record::{Origin, Retried};
use crate::sync::context::{Applied, SyncContext};
use crate::sync::guard::Guard;

const COLUMNS: &[ColumnDescriptor] = &[column("id"), column("n"), column("name"), column("code")];
const WITH_DEFAULT: &[ColumnDescriptor] = &[column("id"), with_default("n"), column("name"), column("code")];
const HOOKED: SyncOptions = SyncOptions { after: Some(after), ..SyncOptions::NONE };

fn items() -> TableName {
    TableName {
        plain: "items",
        #[cfg(feature = "postgres")]
        postgres: "\"items\"".to_owned(),
        #[cfg(feature = "sqlite")]
        sqlite: "`items`".to_owned(),
    }
}

static ITEM: ModelDescriptor = model("GuardedItem", COLUMNS, items, HOOKED);
static DEFAULTED: ModelDescriptor = model("DefaultedItem", WITH_DEFAULT, items, HOOKED);
static ITEMS: ModelTopic = topic(Targets::One(&ITEM), true);
static UNREDUCED: ModelTopic = topic(Targets::One(&ITEM), false);
static UNGUARDED: ModelTopic = {
    let plain = topic(Targets::One(&ITEM), true);
    ModelTopic { options: SyncOptions { guard: Some(false), ..plain.options }, ..plain }
};
static DEFAULTED_ITEMS: ModelTopic = topic(Targets::One(&DEFAULTED), true);

/// Fails for messages whose headers say so: at once, after its row is written, or when the transaction commits.
fn after(cx: &SyncContext<'_>, _applied: Applied, conn: &mut DbConn) -> Result<(), ConsumeError> {
    if cx.headers().get("fail late").is_some() {
        return Err("the hook refuses".into());
    }
    if cx.headers().get("fail at commit").is_some() {
        conn.batch_execute("INSERT INTO orphans VALUES (1)")?;
    }
    Ok(())
}

/// A topic and its tables, and what the columns hold that no message has written.
#[derive(Debug, Clone, Copy)]
struct Setting {
    topic: &'static ModelTopic,
    sql: &'static str,
    untouched: [Option<&'static str>; 3],
}

const TABLES: &str = "CREATE TABLE nowhere (id INTEGER PRIMARY KEY);
    CREATE TABLE orphans (id INTEGER REFERENCES nowhere DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE items (id INTEGER PRIMARY KEY, n INT DEFAULT 5, name TEXT, code TEXT DEFAULT 'c');";
/// Partial rows fail where there is no row yet, and resets where there is one.
const REQUIRED: &str = "CREATE TABLE nowhere (id INTEGER PRIMARY KEY);
    CREATE TABLE orphans (id INTEGER REFERENCES nowhere DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE items (id INTEGER PRIMARY KEY, n INT NOT NULL, name TEXT, code TEXT);";

const SETTINGS: &[Setting] = &[
    Setting { topic: &ITEMS, sql: TABLES, untouched: [Some("5"), None, Some("c")] },
    Setting { topic: &UNREDUCED, sql: TABLES, untouched: [Some("5"), None, Some("c")] },
    Setting { topic: &DEFAULTED_ITEMS, sql: TABLES, untouched: [Some("0"), None, Some("c")] },
    Setting { topic: &ITEMS, sql: REQUIRED, untouched: [None, None, None] },
];

/// One message of the topic. Its offset is its place in the list.
#[derive(Debug, Clone)]
struct Message {
    key: i64,
    /// Which columns are in it; `None`: it deletes.
    columns: Option<u8>,
    /// How it fails when it does.
    fails: Fails,
    /// Whether it fails for ever; else only where a step says so.
    never: bool,
}

#[derive(Debug, Clone, Copy)]
enum Fails {
    Decoding,
    Late,
    AtCommit,
}

/// What happens next.
#[derive(Debug, Clone)]
struct Step {
    lane: Lane,
    /// How many messages are in the batch.
    size: usize,
    /// Which of them fail, by their place in the batch.
    failing: u16,
    /// Shuffles what is read from retry topics.
    order: u16,
    crash: Crash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Main,
    Retry,
    /// Of dead letters.
    Replay,
    /// None: somebody empties the table and has the topic read from its beginning.
    StartOver,
}

/// When the process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    Never,
    /// Before the first or the second commit.
    BeforeCommit(usize),
    /// All is committed, nothing is sent.
    BeforeSending,
    /// What leaves is sent, the position is not moved.
    BeforeStoring,
}

fn message() -> impl Strategy<Value = Message> {
    let columns = prop_oneof![3 => Just(Some(0b111)), 4 => (0..8_u8).prop_map(Some), 2 => Just(None)];
    let fails = prop_oneof![Just(Fails::Decoding), Just(Fails::Late), Just(Fails::AtCommit)];
    (0..3_i64, columns, fails, prop::bool::weighted(0.05)).prop_map(|(key, columns, fails, never)| Message {
        key,
        columns,
        fails,
        never,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let lane = prop_oneof![9 => Just(Lane::Main), 12 => Just(Lane::Retry), 3 => Just(Lane::Replay), 1 => Just(Lane::StartOver)];
    let crash = prop_oneof![
        12 => Just(Crash::Never),
        1 => (1..3_usize).prop_map(Crash::BeforeCommit),
        1 => Just(Crash::BeforeSending),
        1 => Just(Crash::BeforeStoring),
    ];
    (lane, 1..8_usize, any::<u16>(), any::<u16>(), any::<u16>(), crash).prop_map(|(lane, size, a, b, order, crash)| {
        // A quarter of the messages.
        Step { lane, size, failing: a & b, order, crash }
    })
}

/// A message on its way: its offset, and the number of the retry topic that it stands in.
type Copy = (usize, u32);

/// Retries before a message is a dead letter.
const RETRIES_MAX: u32 = 2;

/// The topic, its retry topic and its dead letters, and what has become of them.
struct World<'a> {
    bench: &'a Bench,
    setting: Setting,
    log: &'a [Message],
    /// Whether a message that succeeded fails when it is read again.
    faithful: bool,
    /// Where the main lane reads on, and how far it ever came.
    position: usize,
    reached: usize,
    retries: Vec<Copy>,
    dead: Vec<usize>,
    succeeded: BTreeSet<usize>,
}

/// The test's lane: all that fails leaves.
struct Leaving<'a> {
    batch: &'a [Copy],
    /// Commits until the process is killed.
    commits_left: usize,
}

impl Caller for Leaving<'_> {
    fn decide(&mut self, _index: usize, _error: &ConsumeError) -> Verdict {
        Verdict::Leave
    }

    fn comes_back(&self, index: usize) -> bool {
        self.batch[index].1 < RETRIES_MAX
    }

    fn before_commit(&mut self, _conn: &mut DbConn, _covered: &Covered<'_>) -> Result<(), Refused> {
        match self.commits_left.checked_sub(1) {
            Some(left) => self.commits_left = left,
            None => return Err(Refused::NotOurs("killed".to_owned())),
        }
        Ok(())
    }
}

impl World<'_> {
    /// A message as it is read, for the first time or from a retry topic.
    fn record(&self, (offset, number): Copy, lane: Lane, fails: bool) -> Arc<RawRecord> {
        let message = &self.log[offset];
        let mut value = json!({ "id": message.key });
        let cells = [json!(1000 + offset), json!(format!("n{offset}")), json!(format!("c{offset}"))];
        for (place, (name, cell)) in ["n", "name", "code"].into_iter().zip(cells).enumerate() {
            if message.columns.is_some_and(|columns| columns & (1 << place) != 0) {
                value[name] = cell;
            }
        }
        if message.columns.is_none() {
            value = Value::Null;
        }
        let plain = record(offset, &json!({ "id": message.key }), &value);
        let mut headers = Headers::new();
        if fails {
            let how = match message.fails {
                Fails::Decoding => "fail",
                Fails::Late => "fail late",
                Fails::AtCommit => "fail at commit",
            };
            headers.push(how, Some(Vec::new()));
        }
        let origin = Origin { topic: "t".into(), partition: 0, offset: offset as i64 };
        let retried = (lane != Lane::Main).then(|| Arc::new(Retried { origin, attempt: number }));
        let topic = if lane == Lane::Main { "t".into() } else { "g.t.retry".into() };
        Arc::new(RawRecord { topic, headers, retried, ..(*plain).clone() })
    }

    /// The messages that a step takes.
    fn take(&mut self, step: &Step) -> Vec<Copy> {
        let mut order = usize::from(step.order);
        let mut next = |length: usize| {
            order = order.wrapping_mul(31).wrapping_add(17);
            order % length
        };
        let mut batch = Vec::new();
        for place in 0..step.size {
            match step.lane {
                Lane::Main if self.position + place < self.log.len() => batch.push((self.position + place, 0)),
                Lane::Retry if !self.retries.is_empty() => batch.push(self.retries.remove(next(self.retries.len()))),
                Lane::Replay if !self.dead.is_empty() => {
                    batch.push((self.dead.remove(next(self.dead.len())), RETRIES_MAX));
                }
                _ => {}
            }
        }
        batch
    }

    fn run(&mut self, step: &Step) {
        if step.lane == Lane::StartOver {
            self.start_over();
            return;
        }
        let batch = self.take(step);
        if batch.is_empty() {
            return;
        }
        let fails = |place: usize, offset: usize| {
            let told = step.failing & (1 << place) != 0;
            self.log[offset].never || (told && !(self.faithful && self.succeeded.contains(&offset)))
        };
        let records: Vec<_> =
            batch.iter().enumerate().map(|(place, &copy)| self.record(copy, step.lane, fails(place, copy.0))).collect();
        let commits_left = if let Crash::BeforeCommit(commits) = step.crash { commits - 1 } else { usize::MAX };
        let mut lane = Leaving { batch: &batch, commits_left };
        let report = self.bench.sync.apply(&self.bench.database, &records, &mut lane);
        match report.stop {
            None => {}
            Some(Stop::Outage(reason)) if reason == "killed" => {}
            other => panic!("{other:?}"),
        }
        let handled = report.outcomes.len();
        let mut leaving = Vec::new();
        for (&(offset, number), outcome) in batch.iter().zip(&report.outcomes) {
            if matches!(outcome, Outcome::Superseded(Superseded::Repeat)) {
                // Done before: in `succeeded`, unless the table was emptied since. Then it is read again, and may fail.
            } else if !matches!(outcome, Outcome::Failed(_)) {
                self.succeeded.insert(offset);
            } else if number < RETRIES_MAX {
                leaving.push((offset, number + 1));
            } else {
                self.dead.push(offset);
            }
        }
        if step.lane == Lane::Main {
            self.reached = self.reached.max(batch.iter().take(handled).map(|copy| copy.0 + 1).max().unwrap_or(0));
        }
        let killed = handled < batch.len();
        if !killed && step.crash != Crash::BeforeSending {
            self.retries.extend(leaving);
        }
        if killed || matches!(step.crash, Crash::BeforeSending | Crash::BeforeStoring) {
            // All of it is read again.
            if step.lane == Lane::Retry {
                self.retries.extend(batch);
            } else if step.lane == Lane::Replay {
                self.dead.extend(batch.into_iter().map(|(offset, _)| offset));
            }
        } else if step.lane == Lane::Main {
            self.position += batch.len();
        }
    }

    /// What the guard knows stays, so that rows may lack until the end what is to be read again.
    fn start_over(&mut self) {
        self.bench.execute("DELETE FROM items");
        self.position = 0;
        self.faithful = false;
        self.succeeded.clear();
    }

    /// Until nothing is left that can succeed.
    fn drain(&mut self) {
        let all = |lane| Step { lane, size: 7, failing: 0, order: 3, crash: Crash::Never };
        while self.position < self.log.len() {
            self.run(&all(Lane::Main));
        }
        for _ in 0..4 {
            while !self.retries.is_empty() {
                self.run(&all(Lane::Retry));
            }
            // Each of them once: one that fails again goes back to the others.
            for letter in std::mem::take(&mut self.dead) {
                let others = std::mem::replace(&mut self.dead, vec![letter]);
                self.run(&Step { size: 1, ..all(Lane::Replay) });
                self.dead.extend(others);
            }
        }
    }

    /// The rows of the messages that succeeded, in order.
    fn expected(&self) -> Vec<String> {
        let mut rows: BTreeMap<i64, [Option<String>; 3]> = BTreeMap::new();
        for &offset in &self.succeeded {
            let message = &self.log[offset];
            let Some(columns) = message.columns else {
                rows.remove(&message.key);
                continue;
            };
            let untouched = self.setting.untouched.map(|cell| cell.map(str::to_owned));
            let row = rows.entry(message.key).or_insert(untouched);
            let cells = [(1000 + offset).to_string(), format!("n{offset}"), format!("c{offset}")];
            for (place, cell) in cells.into_iter().enumerate() {
                if columns & (1 << place) != 0 {
                    row[place] = Some(cell);
                }
            }
        }
        rows.into_iter()
            .map(|(id, row)| {
                let cells: Vec<String> =
                    row.into_iter().map(|cell| cell.unwrap_or_else(|| "NULL".to_owned())).collect();
                format!("{id} {}", cells.join(" "))
            })
            .collect()
    }

    fn found(&self) -> Vec<String> {
        self.bench.rows(
            "SELECT id || ' ' || coalesce('' || n, 'NULL') || ' ' || coalesce(name, 'NULL') || ' ' || \
             coalesce(code, 'NULL') AS line FROM items ORDER BY id",
        )
    }

    /// Whether the rows have to be exact now: not while the main lane reads again what it had written before.
    fn is_settled(&self) -> bool {
        self.faithful && self.position >= self.reached
    }
}

fn guarded(bench: Bench) -> Bench {
    let guard = Guard::new("g".into(), Duration::from_secs(60), Clock::new());
    Bench { sync: bench.sync.guarded(guard), ..bench }
}

/// A sequence of messages and what happens to them.
#[derive(Debug, Clone)]
struct Story {
    setting: Setting,
    log: Vec<Message>,
    steps: Vec<Step>,
    faithful: bool,
}

fn story() -> impl Strategy<Value = Story> {
    (
        prop::sample::select(SETTINGS),
        prop::collection::vec(message(), 1..24),
        prop::collection::vec(step(), 1..40),
        any::<bool>(),
    )
        .prop_map(|(setting, log, steps, faithful)| Story { setting, log, steps, faithful })
}

fn check(open: impl Fn(&Setting) -> Bench, story: &Story) -> Result<(), TestCaseError> {
    let bench = guarded(open(&story.setting));
    let mut world = World {
        bench: &bench,
        setting: story.setting,
        log: &story.log,
        faithful: story.faithful,
        position: 0,
        reached: 0,
        retries: Vec::new(),
        dead: Vec::new(),
        succeeded: BTreeSet::new(),
    };
    for (number, step) in story.steps.iter().enumerate() {
        world.run(step);
        if world.is_settled() {
            prop_assert_eq!(world.found(), world.expected(), "after step {}: {:?}", number, step);
        }
    }
    world.drain();
    let optional = story.setting.sql != REQUIRED;
    if optional {
        let missing: HashSet<usize> =
            (0..story.log.len()).filter(|at| !story.log[*at].never && !world.succeeded.contains(at)).collect();
        prop_assert!(missing.is_empty(), "neither written nor superseded: {missing:?}");
    }
    prop_assert_eq!(world.found(), world.expected(), "at the end");
    Ok(())
}

#[cfg(feature = "sqlite")]
proptest! {
    #[test]
    fn rows_are_those_of_what_succeeded_in_order_on_sqlite(story in story()) {
        check(|setting| Bench::new(setting.topic, setting.sql), &story)?;
    }
}

#[cfg(feature = "postgres")]
proptest! {
    #![proptest_config(super::property::fewer_cases())]

    #[test]
    fn rows_are_those_of_what_succeeded_in_order_on_postgresql(story in story()) {
        if crate::db::scratch::server().is_some() {
            check(|setting| Bench::postgres(setting.topic, setting.sql).unwrap(), &story)?;
        }
    }
}
