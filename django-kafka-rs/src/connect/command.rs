//! The command `connect`: what is done with each connector, one after the other; what fails stops no other connector.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use super::answer::{Looks, Status, Verdict, judge};
use super::client::{ConnectClient, ConnectError, Put};
use super::resolve::{FilledConfig, NamedConnector};
use super::step::{Change, Kind, Outcome, Shown, Step, changes};
use crate::nearest::nearest;

/// What to do with the connectors, in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) list: bool,
    pub(crate) validate: bool,
    pub(crate) publish: bool,
    /// Publishing only shows what it would do.
    pub(crate) dry_run: bool,
    pub(crate) check_status: bool,
}

/// What to do with connectors that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Restart { only_failed: bool },
    Pause,
    Resume,
}

/// A connector, and its configuration: complete where it is sent, else as far as it is known.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) connector: NamedConnector,
    pub(crate) config: FilledConfig,
}

const NOT_THERE: &str = "it is not there: publish it";

/// Lists connectors. Nothing is asked.
pub(crate) fn list(connectors: &[NamedConnector], mut say: impl FnMut(Step)) {
    for connector in connectors {
        let declaration = &connector.declaration;
        let class = declaration.configuration().ok().and_then(|config| match config.get("connector.class") {
            Some(super::ConnectorValue::Text(class)) => Some(class.clone()),
            Some(super::ConnectorValue::Env(variable)) => Some(format!("env({variable})")),
            Some(super::ConnectorValue::Setting(path)) => Some(format!("setting({path})")),
            None => None,
        });
        let outcome = Outcome::Declared {
            class,
            mark_for_removal: declaration.mark_for_removal,
            declared_at: declaration.location.to_string(),
        };
        say(step(Kind::List, connector, outcome));
    }
}

fn step(kind: Kind, connector: &NamedConnector, outcome: Outcome) -> Step {
    Step { kind, connector: connector.declaration.type_name.to_owned(), name: connector.name.clone(), outcome }
}

/// One run of the command.
pub(crate) struct Run<'r, S: FnMut(Step)> {
    client: &'r ConnectClient,
    looks: Looks,
    /// Told of each step once it is done.
    say: S,
    /// Why there is no sense in asking on.
    away: Option<String>,
    /// Connectors with a failure, by name.
    failed: HashSet<String>,
    /// Connectors that are not published (any more), and why: what follows is not done with them.
    held: HashMap<String, &'static str>,
    /// When a connector got a new configuration.
    published: HashMap<String, Instant>,
}

impl<'r, S: FnMut(Step)> Run<'r, S> {
    pub(crate) fn new(client: &'r ConnectClient, looks: Looks, say: S) -> Self {
        Self { client, looks, say, away: None, failed: HashSet::new(), held: HashMap::new(), published: HashMap::new() }
    }

    /// Validates, publishes and checks; gives how many connectors failed.
    pub(crate) async fn manage(mut self, connectors: &[Ready], wanted: Wanted) -> usize {
        for ready in connectors.iter().filter(|_| wanted.validate) {
            let outcome = self.validate(ready).await;
            if outcome.is_failure() {
                self.hold(ready, "it did not pass the validation, see above");
            }
            self.tell(Kind::Validate, &ready.connector, outcome);
        }
        for ready in connectors.iter().filter(|_| wanted.publish) {
            let outcome = self.publish(ready, wanted.dry_run).await;
            match outcome {
                Outcome::Created { .. } | Outcome::Updated { .. } => {
                    self.published.insert(ready.connector.name.clone(), Instant::now());
                }
                Outcome::WouldCreate { .. } => self.hold(ready, "it is not published in a dry run"),
                Outcome::Failed { .. } => self.hold(ready, "it could not be published, see above"),
                _ => {}
            }
            self.tell(Kind::Publish, &ready.connector, outcome);
        }
        for ready in connectors.iter().filter(|_| wanted.check_status) {
            let outcome = self.check_status(ready).await;
            self.tell(Kind::CheckStatus, &ready.connector, outcome);
        }
        self.failed.len()
    }

    /// Restarts, pauses or resumes; gives how many connectors failed.
    pub(crate) async fn operate(mut self, connectors: &[Ready], operation: Operation) -> usize {
        for ready in connectors {
            let outcome = self.order(ready, operation).await;
            let kind = match operation {
                Operation::Restart { .. } => Kind::Restart,
                Operation::Pause => Kind::Pause,
                Operation::Resume => Kind::Resume,
            };
            self.tell(kind, &ready.connector, outcome);
        }
        self.failed.len()
    }

    fn hold(&mut self, ready: &Ready, why: &'static str) {
        self.held.entry(ready.connector.name.clone()).or_insert(why);
    }

    /// Why something is not done with a connector.
    fn held(&self, connector: &NamedConnector) -> Option<Outcome> {
        let why = self.held.get(&connector.name)?;
        Some(Outcome::Skipped { why: (*why).to_owned() })
    }

    fn tell(&mut self, kind: Kind, connector: &NamedConnector, outcome: Outcome) {
        if outcome.is_failure() {
            self.failed.insert(connector.name.clone());
        }
        (self.say)(step(kind, connector, outcome));
    }

    /// The outcome of a request that failed. Where the next would fare no better, none is sent.
    fn failure(&mut self, error: &ConnectError, config: &FilledConfig) -> Outcome {
        if error.concerns_all() {
            self.away = Some("not asked, after the failure above".to_owned());
        }
        Outcome::Failed { error: config.scrub(&error.to_string()) }
    }

    fn is_away(&self) -> Option<Outcome> {
        self.away.clone().map(|error| Outcome::Failed { error })
    }

    async fn validate(&mut self, Ready { connector, config }: &Ready) -> Outcome {
        if connector.declaration.mark_for_removal {
            return Outcome::Skipped { why: "it is marked for removal".to_owned() };
        }
        if let Some(away) = self.is_away() {
            return away;
        }
        let class = config.get("connector.class").unwrap_or_default();
        let mut values = config.values();
        values.insert("name", &connector.name);
        let validation = match self.client.validate(class, &values).await {
            Ok(validation) => validation,
            Err(error) => return self.unknown_class(class, error, config).await,
        };
        let warnings = misspelt(&values, &validation.known_keys());
        if validation.error_count == 0 {
            return Outcome::Valid { warnings };
        }
        let mut faults = validation.faults();
        for message in faults.iter_mut().flat_map(|fault| &mut fault.messages) {
            *message = config.scrub(message);
        }
        Outcome::Invalid { faults, warnings }
    }

    /// Kafka Connect's own text for a class that it does not have lists all others with their places on its disk.
    async fn unknown_class(&mut self, class: &str, error: ConnectError, config: &FilledConfig) -> Outcome {
        let is_refused =
            matches!(&error, ConnectError::Refused { message, .. } if message.contains("Failed to find any class"));
        let plugins = if is_refused { self.client.plugins().await.unwrap_or_default() } else { Vec::new() };
        let classes: Vec<&str> = plugins.iter().map(|plugin| plugin.class.as_str()).collect();
        if classes.is_empty() {
            return self.failure(&error, config);
        }
        let hint = match nearest(class, &classes) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has: {}", classes.join(", ")),
        };
        let shown = config.shown("connector.class").unwrap_or_default();
        Outcome::Failed { error: format!("Kafka Connect has no class `{shown}`; {hint}") }
    }

    async fn publish(&mut self, ready: &Ready, dry_run: bool) -> Outcome {
        let Ready { connector, config } = ready;
        if let Some(not_done) = self.is_away().or_else(|| self.held(connector)) {
            return not_done;
        }
        let published = if connector.declaration.mark_for_removal {
            self.remove(connector, dry_run).await
        } else {
            self.put(ready, dry_run).await
        };
        published.unwrap_or_else(|error| self.failure(&error, config))
    }

    async fn remove(&self, connector: &NamedConnector, dry_run: bool) -> Result<Outcome, ConnectError> {
        if !dry_run {
            let was_there = self.client.delete(&connector.name).await?;
            return Ok(if was_there { Outcome::Removed } else { Outcome::Absent });
        }
        let is_there = self.client.config(&connector.name).await?.is_some();
        Ok(if is_there { Outcome::WouldRemove } else { Outcome::Absent })
    }

    async fn put(&self, Ready { connector, config }: &Ready, dry_run: bool) -> Result<Outcome, ConnectError> {
        let running = self.client.config(&connector.name).await?;
        let exists = running.is_some();
        let changes: Vec<Change> = changes(&running.unwrap_or_default(), config);
        if exists && changes.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        if dry_run {
            return Ok(if exists { Outcome::WouldUpdate { changes } } else { Outcome::WouldCreate { changes } });
        }
        Ok(match self.client.put_config(&connector.name, &config.values()).await? {
            Put::Created => Outcome::Created { changes },
            Put::Updated => Outcome::Updated { changes },
        })
    }

    async fn check_status(&mut self, Ready { connector, config }: &Ready) -> Outcome {
        if connector.declaration.mark_for_removal {
            return Outcome::Skipped { why: "it is marked for removal".to_owned() };
        }
        if let Some(not_done) = self.is_away().or_else(|| self.held(connector)) {
            return not_done;
        }
        // What has just been published may be shown as it was before.
        if let Some(since) = self.published.get(&connector.name) {
            tokio::time::sleep(self.looks.first_wait.saturating_sub(since.elapsed())).await;
        }
        // A task is shown only once it has started, or failed to: none yet may be none at all.
        let may_change = |status: Option<&Status>| matches!(judge(status), Verdict::NotYet | Verdict::RunsWithoutTasks);
        let looked = self.look(connector, may_change).await;
        let (status, waited) = match looked {
            Ok(looked) => looked,
            Err(error) => return self.failure(&error, config),
        };
        let shown = status.as_ref().map(|status| Shown::of(status, |text| config.scrub(text)));
        let name = connector.declaration.type_name;
        let why = match (judge(status.as_ref()), &shown) {
            (_, None) => NOT_THERE.to_owned(),
            (Verdict::NotYet, _) => format!("it does not run yet, after {waited:.0?}: look again"),
            (Verdict::DoesNot, Some(status)) => why_not(status, name),
            (Verdict::Runs | Verdict::RunsWithoutTasks, Some(status)) => return Outcome::Ok { status: status.clone() },
        };
        Outcome::NotOk { why, status: shown }
    }

    /// Looks at a status until it is no more to be waited for; gives the last one, and how long was waited.
    async fn look(
        &self,
        connector: &NamedConnector,
        wait_on: impl Fn(Option<&Status>) -> bool,
    ) -> Result<(Option<Status>, Duration), ConnectError> {
        let mut waited = Duration::ZERO;
        for look in 1.. {
            let status = self.client.status(&connector.name).await?;
            match self.looks.wait_before(look) {
                Some(wait) if wait_on(status.as_ref()) => {
                    tokio::time::sleep(wait).await;
                    waited += wait;
                }
                _ => return Ok((status, waited)),
            }
        }
        Ok((None, waited))
    }

    async fn order(&mut self, Ready { connector, config }: &Ready, operation: Operation) -> Outcome {
        if let Some(away) = self.is_away() {
            return away;
        }
        let name = connector.name.as_str();
        let ordered = match operation {
            Operation::Restart { only_failed } => self.client.restart(name, only_failed).await,
            Operation::Pause => self.client.pause(name).await,
            Operation::Resume => self.client.resume(name).await,
        };
        let wanted = if operation == Operation::Pause { "PAUSED" } else { "RUNNING" };
        let is_as_wanted =
            |status: &Status| status.connector.state == wanted && status.tasks.iter().all(|task| task.state == wanted);
        let shown = |status: &Status| Shown::of(status, |text| config.scrub(text));
        let looked = match ordered {
            Ok(true) => {
                let is_final = |status: &Status| {
                    is_as_wanted(status) && (operation == Operation::Pause || !status.tasks.is_empty())
                };
                self.look(connector, |status| !status.is_some_and(is_final)).await
            }
            Ok(false) => return Outcome::NotOk { why: NOT_THERE.to_owned(), status: None },
            Err(error) => Err(error),
        };
        match looked {
            Ok((Some(status), _)) if is_as_wanted(&status) => Outcome::Ok { status: shown(&status) },
            Ok((status, waited)) => {
                let why = format!("it is not {wanted} after {waited:.0?}: look again with `connect --check-status`");
                Outcome::NotOk { why, status: status.as_ref().map(shown) }
            }
            Err(error) => self.failure(&error, config),
        }
    }
}

fn why_not(status: &Shown, name: &str) -> String {
    let failed = status.tasks.iter().filter(|task| task.state == "FAILED").count();
    match status.state.as_str() {
        "PAUSED" | "STOPPED" => format!("it is {}: `connect resume {name}` lets it run", status.state),
        _ if failed > 0 => {
            let tasks = status.tasks.len();
            format!("{failed} of {tasks} tasks failed: mend the cause, then `connect restart {name} --only-failed`")
        }
        _ => format!("it is {}: mend the cause, then `connect restart {name}`", status.state),
    }
}

/// Keys that the class does not have, but one that is spelt much the same and not set. Kafka Connect ignores unknown
/// keys, since converters and transforms of anyone may read them.
fn misspelt(values: &BTreeMap<&str, &str>, known: &[&str]) -> Vec<String> {
    let unset: Vec<&str> = known.iter().copied().filter(|key| !values.contains_key(key)).collect();
    let unknown = values.keys().filter(|key| !known.contains(key));
    unknown
        .filter_map(|key| {
            // A part of a longer name is that of a converter or a transform.
            let near = nearest(key, &unset).filter(|near| near.split('.').count() == key.split('.').count())?;
            Some(format!("`{key}` is no key of this class, and ignored; did you mean `{near}`?"))
        })
        .collect()
}
