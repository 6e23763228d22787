//! What faults happen to: a broker and a database of one's own, the members of a group, a load.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::load::{Kind, Load};
use super::verify::Verifier;
use crate::harness::{Broker, Dice, OwnStack, Replica, Service, ServiceConfig, fresh_name, wait_at_most};
use crate::scene::Protocol;

/// Longer than any healthy wait, also for a broker that starts on a busy machine.
pub(super) const LIMIT: Duration = Duration::from_secs(180);
/// A member that is asked to end does so by then, whatever is away: `shutdown_timeout`, closing, flushing.
const END_MAX: Duration = Duration::from_secs(60);
const PARTITIONS: i32 = 4;
const MEMBERS: usize = 2;

const TABLES: &str = "
    create table in_place (id bigint primary key, a text, b text, version bigint, check (b not like 'refused %'));
    create table hopping (id bigint primary key, a text, b text, version bigint, check (b not like 'refused %'));
    create table counted (partition int, position bigint, times int not null, primary key (partition, position));";

/// Lets time pass: a fault lasts.
pub(super) fn hold(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

// Dropped in this order.
pub(super) struct World {
    load: Load,
    members: Vec<Option<Service>>,
    replica: Replica,
    broker: Broker,
    pub(super) stack: OwnStack,
    config: ServiceConfig,
    pub(super) dice: Dice,
    prefix: String,
    group: String,
    started: u32,
    _folder: Option<tempfile::TempDir>,
}

impl World {
    /// Members join by this protocol. Logs go to `folder`, where they stay, or to one that is removed.
    pub(super) fn start(mut dice: Dice, protocol: Protocol, folder: Option<&Path>) -> Self {
        let stack = OwnStack::start(&["kafka", "postgres"]);
        let prefix = fresh_name("chaos");
        let broker = Broker::at(&stack.servers(), &prefix);
        let replica = Replica::postgres_on(&stack.database_url(), &prefix);
        replica.sql(TABLES);
        for kind in Kind::ALL {
            broker.create_topic(&format!("{prefix}.{}", kind.name()), PARTITIONS);
        }
        let temporary = folder.is_none().then(|| tempfile::tempdir().unwrap());
        let folder: &Path = temporary.as_ref().map_or_else(|| folder.unwrap(), tempfile::TempDir::path);
        // Another build of the service, to see since when it has a fault.
        let program = std::env::var_os("CHAOS_SERVICE").unwrap_or_else(|| env!("CARGO_BIN_EXE_chaos_service").into());
        let config = ServiceConfig::of(program, folder)
            .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", broker.servers())
            .set("DATABASE_URL", replica.url())
            .set("CONSUMER_CONFIG__TOPIC_METADATA_REFRESH_INTERVAL_MS", "1000")
            .set("RETRY_CONSUMER_CONFIG__TOPIC_METADATA_REFRESH_INTERVAL_MS", "1000")
            .set("TOPIC_VARIABLES__PREFIX", &prefix);
        let tried = std::env::vars().filter(|(name, _)| name.starts_with("DJANGO_KAFKA__"));
        let config = tried.fold(config, |config, (name, value)| config.variable(&name, value));
        let config = protocol.config(&config, "member").migrated();
        let load = Load::start(broker.servers(), &prefix, PARTITIONS, dice.split());
        let group = format!("{prefix}-chaos");
        let mut world = Self {
            load,
            members: Vec::new(),
            replica,
            broker,
            stack,
            config,
            dice,
            prefix,
            group,
            started: 0,
            _folder: temporary,
        };
        for _ in 0..MEMBERS {
            world.add_member();
        }
        world
    }

    pub(super) fn load(&self) -> &Load {
        &self.load
    }

    pub(super) fn verifier(&self) -> Verifier<'_> {
        Verifier { broker: &self.broker, replica: &self.replica, prefix: &self.prefix, group: &self.group }
    }

    // ---- Members

    pub(super) fn members(&self) -> usize {
        self.members.len()
    }

    pub(super) fn pick_member(&mut self) -> usize {
        self.dice.in_range(0..self.members.len() as u64) as usize
    }

    /// One more, which has joined.
    pub(super) fn add_member(&mut self) -> usize {
        self.members.push(None);
        let index = self.members.len() - 1;
        self.start_member(index);
        index
    }

    pub(super) fn start_member(&mut self, index: usize) {
        self.started += 1;
        let mut service = self.config.start(&format!("member{}", self.started), &["consume"]);
        service.wait_for_log(" assigned ");
        self.members[index] = Some(service);
    }

    pub(super) fn kill_member(&mut self, index: usize) {
        self.members[index].take().unwrap().kill();
    }

    pub(super) fn signal_member(&mut self, index: usize, signal: &str) {
        self.members[index].as_ref().unwrap().signal(signal);
    }

    /// Asks it to end, which it does within its bounds also where the broker or the database is away.
    pub(super) fn end_member(&mut self, index: usize) {
        let mut service = self.members[index].take().unwrap();
        service.signal("-TERM");
        wait_at_most(END_MAX, "the member ends", || service.ended().ok_or_else(|| service.log()));
    }

    pub(super) fn end_last_member(&mut self, index: usize) {
        assert_eq!(index + 1, self.members.len());
        self.end_member(index);
        self.members.pop();
    }

    /// Every member runs, and none had a fault of its own.
    pub(super) fn check_members(&mut self) {
        for service in self.members.iter_mut().flatten() {
            let ended = service.ended();
            let log = service.log();
            assert!(ended.is_none(), "a member ended by itself: {ended:?}\n{log}");
            for words in ["a fault of ours", "panicked"] {
                assert!(!log.contains(words), "a member has `{words}` in its log\n{log}");
            }
        }
    }

    // ---- The broker

    pub(super) fn expand(&mut self, kind: Kind) {
        let partitions = self.load.partitions(kind) + 1;
        self.broker.expand_topic(&format!("{}.{}", self.prefix, kind.name()), partitions as usize);
        self.load.set_partitions(kind, partitions);
    }

    // ---- The database

    fn sql(&self, statements: &str) -> Result<String, String> {
        let Replica::Postgres(database) = &self.replica else { panic!("not on PostgreSQL") };
        database.try_sql(statements)
    }

    pub(super) fn cut_connections(&self) {
        let all = "select pg_terminate_backend(pid) from pg_stat_activity \
                   where datname = current_database() and pid <> pg_backend_pid()";
        self.sql(all).unwrap();
    }

    pub(super) fn set_read_only(&self, is_on: bool) {
        let Replica::Postgres(database) = &self.replica else { panic!("not on PostgreSQL") };
        // The session itself may be read-only already.
        let set = format!(
            "set default_transaction_read_only = off; alter database {} set default_transaction_read_only = {is_on}",
            database.name()
        );
        self.sql(&set).unwrap();
        self.cut_connections();
    }

    /// Kills a process that serves a member, with its SQL in the middle if chance wills.
    pub(super) fn kill_backend(&self) {
        let one = "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() \
                   order by state = 'active' desc limit 1";
        let pid = self.sql(one).unwrap();
        // A member that is between two connections has none.
        if !pid.is_empty() {
            let _ = std::process::Command::new("kill").args(["-KILL", &pid]).status();
        }
    }

    /// Locks the tables for so long.
    pub(super) fn lock_tables(&self, time: Duration) -> JoinHandle<()> {
        let Replica::Postgres(database) = &self.replica else { panic!("not on PostgreSQL") };
        let lock =
            format!("begin; lock table in_place, hopping, counted; select pg_sleep({}); commit", time.as_secs_f64());
        let url = database.url();
        std::thread::spawn(move || drop(crate::harness::psql(&url, &lock).unwrap()))
    }
}
