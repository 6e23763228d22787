//! A batch listener with Spring Kafka, tuned by hand (`spring/`): one Java process for all rounds of a case, so that all
//! but the first are warm.

use std::process::Command;

use super::installed;
use crate::Failure;
use crate::contender::{Place, Rounds};
use crate::messages::Format;
use crate::process::{ASSIGNED, DONE, Measured, Standing};
use crate::runs::Case;

pub(crate) struct Spring(Standing);

impl Spring {
    /// `unnest`: rows go as one array for each column, else as a batch of statements that the driver rewrites.
    pub(crate) fn start(place: &Place<'_>, case: &Case, unnest: bool) -> Result<Self, Failure> {
        let target = installed("BENCH_SPRING")?;
        let mut command = Command::new("java");
        command.args(["-Xmx512m", "-cp", &format!("{target}/spring-listener.jar:{target}/lib/*"), "bench.Listener"]);
        command.args([place.servers, place.url, &case.partitions.to_string()]);
        command.args([if case.reduce { "reduce" } else { "all" }, if unnest { "unnest" } else { "batch" }]);
        command.args(place.registry.filter(|_| case.format == Format::Avro));
        Ok(Self(Standing::start(command)?))
    }
}

impl Rounds for Spring {
    fn run(&mut self, place: &Place<'_>, messages: u64) -> Result<Measured, Failure> {
        let before = self.0.usage();
        self.0.tell(&format!("{} {}", place.topic, place.group))?;
        let (assigned, ()) = self.0.wait_for(|line| (line == ASSIGNED).then_some(()))?;
        let (done, ()) = self.0.wait_for(|line| (line == DONE).then_some(()))?;
        Ok(self.0.usage().measured(before, messages, done - assigned))
    }
}
