//! The faults: how each begins and ends.

use std::time::Duration;

use super::load::Kind;
use super::world::{World, hold};
use crate::harness::Dice;

/// What goes wrong in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// A member is killed, and started again.
    Kill,
    /// All members are.
    KillAll,
    /// A member stands still past the end of its session.
    Sleep,
    /// A member stands still for less.
    Nap,
    /// A member is asked to end; another one is started.
    HandOver,
    /// One more member comes, and goes.
    Join,
    /// The broker is stopped in order.
    BrokerStop,
    BrokerKill,
    /// The broker stands still: connections stay open, and nobody answers.
    BrokerFreeze,
    /// A topic gets one more partition.
    Expand,
    DatabaseStop,
    DatabaseKill,
    /// One process of the database dies: all connections are cut, and it recovers.
    BackendKill,
    /// Connections are cut, again and again.
    Terminate,
    /// The database takes no writes.
    ReadOnly,
    /// Somebody holds a lock on the tables.
    Lock,
}

/// What a fault is about: two of one kind at a time would only be in each other's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Members,
    Broker,
    Database,
}

/// Ends a fault.
pub(super) type Undo = Box<dyn FnOnce(&mut World)>;

impl Fault {
    pub(super) const ALL: [Self; 16] = [
        Self::Kill,
        Self::KillAll,
        Self::Sleep,
        Self::Nap,
        Self::HandOver,
        Self::Join,
        Self::BrokerStop,
        Self::BrokerKill,
        Self::BrokerFreeze,
        Self::Expand,
        Self::DatabaseStop,
        Self::DatabaseKill,
        Self::BackendKill,
        Self::Terminate,
        Self::ReadOnly,
        Self::Lock,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill => "member killed",
            Self::KillAll => "all members killed",
            Self::Sleep => "member stopped past its session",
            Self::Nap => "member stopped for less",
            Self::HandOver => "member ended, another started",
            Self::Join => "member joined and left",
            Self::BrokerStop => "broker stopped",
            Self::BrokerKill => "broker killed",
            Self::BrokerFreeze => "broker frozen",
            Self::Expand => "partition added",
            Self::DatabaseStop => "database stopped",
            Self::DatabaseKill => "database killed",
            Self::BackendKill => "database process killed",
            Self::Terminate => "connections cut",
            Self::ReadOnly => "database read-only",
            Self::Lock => "tables locked",
        }
    }

    pub(super) fn part(self) -> Part {
        match self {
            Self::Kill | Self::KillAll | Self::Sleep | Self::Nap | Self::HandOver | Self::Join => Part::Members,
            Self::BrokerStop | Self::BrokerKill | Self::BrokerFreeze | Self::Expand => Part::Broker,
            _ => Part::Database,
        }
    }

    /// Whether a message may be handled twice because of it: what was done was not committed, or nobody knows. The
    /// others must not do that: what is in hand is finished and committed before partitions move.
    ///
    /// Nobody knows where a connection to the database is cut in the middle of a COMMIT: PostgreSQL recovers what it has
    /// written of its log, also of a process that was killed before it could answer. With `offsets = "kafka"` the batch
    /// is then handled again.
    pub(super) fn may_repeat(self) -> bool {
        !matches!(self, Self::Nap | Self::HandOver | Self::Join | Self::Expand | Self::Lock)
    }

    /// How long it lasts.
    pub(super) fn lasts(self, dice: &mut Dice) -> Duration {
        let ms = match self {
            Self::Sleep => dice.in_range(7_000..10_000),
            Self::Kill | Self::Lock => dice.in_range(0..12_000),
            // Past the nine seconds after which its controller takes it for dead.
            Self::BrokerFreeze => dice.in_range(0..20_000),
            Self::Expand | Self::BackendKill => 0,
            _ => dice.in_range(0..4_000),
        };
        Duration::from_millis(ms)
    }

    /// Whether it needs the rest to be well when it begins.
    pub(super) fn comes_first(self) -> bool {
        matches!(self, Self::Join | Self::Expand)
    }

    pub(super) fn begin(self, world: &mut World, lasts: Duration) -> Undo {
        match self.part() {
            Part::Members => self.begin_with_members(world),
            Part::Broker => self.begin_with_broker(world),
            Part::Database => self.begin_with_database(world, lasts),
        }
    }

    fn begin_with_members(self, world: &mut World) -> Undo {
        let index = world.pick_member();
        match self {
            Self::Kill => {
                world.kill_member(index);
                Box::new(move |world| world.start_member(index))
            }
            Self::KillAll => {
                (0..world.members()).for_each(|index| world.kill_member(index));
                Box::new(|world| (0..world.members()).for_each(|index| world.start_member(index)))
            }
            Self::HandOver => {
                world.end_member(index);
                Box::new(move |world| world.start_member(index))
            }
            Self::Join => {
                let index = world.add_member();
                Box::new(move |world| world.end_last_member(index))
            }
            _ => {
                world.signal_member(index, "-STOP");
                Box::new(move |world| world.signal_member(index, "-CONT"))
            }
        }
    }

    fn begin_with_broker(self, world: &mut World) -> Undo {
        const KAFKA: &str = "kafka";
        match self {
            Self::BrokerStop => {
                world.stack.down(&[KAFKA]);
                Box::new(|world| world.stack.up(&[KAFKA]))
            }
            Self::BrokerKill => {
                world.stack.signal(KAFKA, "-KILL");
                Box::new(|world| world.stack.up_again(&[KAFKA]))
            }
            Self::BrokerFreeze => {
                world.stack.signal(KAFKA, "-STOP");
                Box::new(|world| world.stack.signal(KAFKA, "-CONT"))
            }
            _ => {
                let kind = Kind::ALL[world.dice.in_range(0..3) as usize];
                world.expand(kind);
                Box::new(|_| {})
            }
        }
    }

    fn begin_with_database(self, world: &mut World, lasts: Duration) -> Undo {
        const POSTGRES: &str = "postgres";
        match self {
            Self::DatabaseStop => {
                world.stack.down(&[POSTGRES]);
                Box::new(|world| world.stack.up(&[POSTGRES]))
            }
            Self::DatabaseKill => {
                world.stack.signal(POSTGRES, "-KILL");
                Box::new(|world| world.stack.up_again(&[POSTGRES]))
            }
            Self::BackendKill => {
                world.kill_backend();
                Box::new(|_| {})
            }
            Self::Terminate => {
                for _ in 0..world.dice.in_range(1..6) {
                    world.cut_connections();
                    hold(Duration::from_millis(world.dice.in_range(0..800)));
                }
                Box::new(|_| {})
            }
            Self::ReadOnly => {
                world.set_read_only(true);
                Box::new(|world| world.set_read_only(false))
            }
            _ => {
                let lock = world.lock_tables(lasts);
                Box::new(move |_| lock.join().unwrap())
            }
        }
    }
}
