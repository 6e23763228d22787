//! What a batch spends its time on.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A part of a batch's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Bytes become rows; what was decoded while the batch before was written is not in it.
    Decode,
    /// What the ordering guard and the relations ask the database.
    Check,
    /// Rows become statements.
    Plan,
    /// Statements are run.
    Write,
    /// What is noted with the rows, and the COMMIT.
    Commit,
    /// The user's own handler, and all that it does.
    Handle,
}

impl Stage {
    /// Those of models.
    pub(crate) const OF_MODELS: [Self; 5] = [Self::Decode, Self::Check, Self::Plan, Self::Write, Self::Commit];
    /// Those of handlers.
    pub(crate) const OF_HANDLERS: [Self; 1] = [Self::Handle];
    const COUNT: usize = Self::OF_MODELS.len() + Self::OF_HANDLERS.len();

    /// As metrics name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Check => "check",
            Self::Plan => "plan",
            Self::Write => "write",
            Self::Commit => "commit",
            Self::Handle => "handle",
        }
    }
}

/// How long a batch was in each stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stages([Duration; Stage::COUNT]);

impl Stages {
    pub(crate) fn add(&mut self, stage: Stage, spent: Duration) {
        self.0[stage as usize] += spent;
    }

    /// `None`: the batch was not in it.
    pub(crate) fn of(&self, stage: Stage) -> Option<Duration> {
        Some(self.0[stage as usize]).filter(|spent| !spent.is_zero())
    }
}

/// A watch that runs through a batch's stages.
#[derive(Debug, Default)]
pub(super) struct Watch(Cell<Stages>);

impl Watch {
    /// Since `started` the batch was in this stage; gives the time of now, when the next one starts.
    pub(super) fn lap(&self, stage: Stage, started: Instant) -> Instant {
        let now = Instant::now();
        let mut stages = self.0.get();
        stages.add(stage, now - started);
        self.0.set(stages);
        now
    }

    pub(super) fn stages(&self) -> Stages {
        self.0.get()
    }
}
