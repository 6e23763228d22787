//! The words of `connect`, and what it shows.

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use super::table::align;
use crate::connect::command::{Operation, Wanted};
use crate::connect::step::{Change, Kind, Outcome, Shown, Step};

/// What to do with connectors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ConnectArgs {
    /// Only these connectors, by their structs' names or as Kafka Connect has them
    #[arg(value_name = "CONNECTOR")]
    pub(crate) connectors: Vec<String>,

    /// List the connectors of this program
    #[arg(long)]
    pub(crate) list: bool,

    /// Have Kafka Connect check their configurations
    #[arg(long)]
    pub(crate) validate: bool,

    /// Create or update them, and delete those that are marked for removal
    #[arg(
        long,
        long_help = "Create or update them, and delete those that are marked for removal. What changes is shown; where \
                     nothing does, nothing is sent."
    )]
    pub(crate) publish: bool,

    /// With --publish: show what it would do, and do nothing
    #[arg(long, requires = "publish")]
    pub(crate) dry_run: bool,

    /// Look whether they and their tasks run, up to four times within seven seconds
    #[arg(long)]
    pub(crate) check_status: bool,

    /// End with 0 whatever fails
    #[arg(long)]
    pub(crate) ignore_failures: bool,

    /// As JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) operation: Option<ConnectOperation>,
}

/// What to do with connectors that are there.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum ConnectOperation {
    /// Restart connectors and their tasks
    Restart {
        #[command(flatten)]
        target: Target,

        /// Only what of them has failed
        #[arg(long)]
        only_failed: bool,
    },
    /// Let connectors stand still; they keep their tasks and their place
    Pause {
        #[command(flatten)]
        target: Target,
    },
    /// Let connectors that were paused or stopped run on
    Resume {
        #[command(flatten)]
        target: Target,
    },
}

/// Which connectors.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Target {
    /// These connectors, by their structs' names or as Kafka Connect has them
    #[arg(value_name = "CONNECTOR", required_unless_present = "all")]
    pub(crate) connectors: Vec<String>,

    /// All connectors of this program
    #[arg(long, conflicts_with = "connectors")]
    pub(crate) all: bool,

    /// As JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

impl ConnectArgs {
    /// What to do with the connectors, without an operation.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            list: self.list,
            validate: self.validate,
            publish: self.publish,
            dry_run: self.dry_run,
            check_status: self.check_status,
        }
    }

    /// The operation, and on which connectors; none named: all.
    pub(crate) fn operation(&self) -> Option<(Operation, &[String])> {
        let (operation, target) = match self.operation.as_ref()? {
            ConnectOperation::Restart { target, only_failed } => {
                (Operation::Restart { only_failed: *only_failed }, target)
            }
            ConnectOperation::Pause { target } => (Operation::Pause, target),
            ConnectOperation::Resume { target } => (Operation::Resume, target),
        };
        Some((operation, &target.connectors))
    }

    /// Whether there is nothing to do: then the help says what there is.
    pub(super) fn is_idle(&self) -> bool {
        self.operation.is_none() && self.wanted() == Wanted::default()
    }

    pub(super) fn is_json(&self) -> bool {
        let of_operation = self.operation.as_ref().map(|operation| match operation {
            ConnectOperation::Restart { target, .. }
            | ConnectOperation::Pause { target }
            | ConnectOperation::Resume { target } => target.json,
        });
        of_operation.unwrap_or(self.json)
    }
}

/// The table of `--list`.
pub(super) fn listing(steps: &[Step]) -> String {
    let mut lines = vec![["CONNECTOR", "NAME", "CLASS", "DECLARED"].map(str::to_owned)];
    for step in steps {
        if let Outcome::Declared { class, mark_for_removal, declared_at } = &step.outcome {
            let class = if *mark_for_removal { Some("(to be removed)") } else { class.as_deref() };
            let class = class.unwrap_or("-").to_owned();
            lines.push([step.connector.clone(), step.name.clone(), class, declared_at.clone()]);
        }
    }
    align(&lines)
}

/// One step for people: a line, and what belongs to it below.
pub(crate) fn step(step: &Step) -> String {
    let kind = match step.kind {
        Kind::List => "list",
        Kind::Validate => "validate",
        Kind::Publish => "publish",
        Kind::CheckStatus => "status",
        Kind::Restart => "restart",
        Kind::Pause => "pause",
        Kind::Resume => "resume",
    };
    let mut text = format!("{kind:<8}  {}: ", step.connector);
    let wrote = outcome(&mut text, step);
    wrote.expect("writing to a string cannot fail");
    text
}

fn outcome(text: &mut String, step: &Step) -> std::fmt::Result {
    let name = &step.name;
    match &step.outcome {
        Outcome::Declared { declared_at, .. } => writeln!(text, "`{name}`, declared at {declared_at}"),
        Outcome::Valid { warnings } => {
            writeln!(text, "ok")?;
            below(text, "warning: ", warnings)
        }
        Outcome::Invalid { faults, warnings } => {
            let n = faults.len();
            writeln!(text, "FAILED: {n} key{} not right", if n == 1 { " is" } else { "s are" })?;
            for fault in faults {
                below(text, &format!("{}: ", fault.key), &fault.messages)?;
            }
            below(text, "warning: ", warnings)
        }
        Outcome::Created { changes } => changed(text, &format!("created as `{name}`"), changes),
        Outcome::Updated { changes } => changed(text, &format!("updated `{name}`"), changes),
        Outcome::WouldCreate { changes } => changed(text, &format!("would create `{name}`"), changes),
        Outcome::WouldUpdate { changes } => changed(text, &format!("would update `{name}`"), changes),
        Outcome::Unchanged => writeln!(text, "nothing changed"),
        Outcome::Removed => writeln!(text, "removed `{name}`"),
        Outcome::WouldRemove => writeln!(text, "would remove `{name}`"),
        Outcome::Absent => writeln!(text, "to be removed, and not there"),
        Outcome::Ok { status } => {
            writeln!(text, "{}", state(status))?;
            tasks(text, status)
        }
        Outcome::NotOk { why, status } => {
            writeln!(text, "FAILED: {why}")?;
            let Some(status) = status else { return Ok(()) };
            below(text, "", &[state(status)])?;
            below(text, "  ", &status.trace)?;
            tasks(text, status)
        }
        Outcome::Skipped { why } => writeln!(text, "skipped: {why}"),
        Outcome::Failed { error } => writeln!(text, "FAILED: {error}"),
    }
}

fn below(text: &mut String, label: &str, lines: &[String]) -> std::fmt::Result {
    // What others say may have several lines.
    lines.iter().flat_map(|line| line.lines()).try_for_each(|line| writeln!(text, "    {label}{line}"))
}

fn changed(text: &mut String, what: &str, changes: &[Change]) -> std::fmt::Result {
    writeln!(text, "{what}")?;
    for Change { key, before, after } in changes {
        match (before, after) {
            (None, Some(after)) => writeln!(text, "    + {key} = {after}")?,
            (Some(before), None) => writeln!(text, "    - {key} = {before}")?,
            (before, after) => {
                let shown = |value: &Option<String>| value.clone().unwrap_or_default();
                writeln!(text, "    ~ {key} = {} (before: {})", shown(after), shown(before))?;
            }
        }
    }
    Ok(())
}

/// `RUNNING on 10.0.0.1:8083, 2 tasks`.
fn state(status: &Shown) -> String {
    let tasks = match status.tasks.len() {
        0 => "without tasks".to_owned(),
        n => super::counted(n, "task"),
    };
    format!("{} on {}, {tasks}", status.state, status.worker)
}

/// Tasks that are otherwise than their connector.
fn tasks(text: &mut String, status: &Shown) -> std::fmt::Result {
    for task in status.tasks.iter().filter(|task| task.state != status.state) {
        writeln!(text, "    task {}: {} on {}", task.id, task.state, task.worker)?;
        below(text, "  ", &task.trace)?;
    }
    Ok(())
}

/// All steps, for programs.
pub(super) fn json(steps: &[Step]) -> String {
    #[derive(serde::Serialize)]
    struct Row<'a> {
        ok: bool,
        #[serde(flatten)]
        step: &'a Step,
    }
    let rows: Vec<Row<'_>> = steps.iter().map(|step| Row { ok: !step.outcome.is_failure(), step }).collect();
    serde_json::to_string_pretty(&rows).expect("steps are text and numbers, which have a form in JSON")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use expect_test::expect;

    use super::*;
    use crate::cli::args;
    use crate::cli::args::Command;
    use crate::connect::step::ShownTask;

    fn read(line: &str) -> Result<ConnectArgs, String> {
        let words = std::iter::once("shop").chain(line.split_whitespace()).map(OsString::from);
        match args::parse(words).map_err(|error| error.to_string())?.command {
            Some(Command::Connect(arguments)) => Ok(arguments),
            other => panic!("it is `connect`, not {other:?}"),
        }
    }

    #[test]
    fn the_originals_line_works() {
        let arguments =
            read("kafka_connect app.connectors.CrmSource --validate --publish --check-status --ignore-failures");
        let arguments = arguments.expect("it is taken");
        assert_eq!(arguments.connectors, ["app.connectors.CrmSource"]);
        assert!(arguments.validate && arguments.publish && arguments.check_status && arguments.ignore_failures);
        assert!(!arguments.list && !arguments.dry_run && !arguments.is_json() && !arguments.is_idle());
    }

    #[test]
    fn without_something_to_do_it_is_idle() {
        assert!(read("connect").expect("it is taken").is_idle());
        assert!(read("connect CrmSource --json").expect("it is taken").is_idle());
        assert!(!read("connect --list").expect("it is taken").is_idle());
    }

    #[test]
    fn operations_name_their_connectors_or_all() {
        let arguments = read("connect restart CrmSource Other --only-failed --json").expect("it is taken");
        let (operation, names) = arguments.operation().expect("there is one");
        assert_eq!(operation, Operation::Restart { only_failed: true });
        assert_eq!(names, ["CrmSource", "Other"]);
        assert!(arguments.is_json() && !arguments.is_idle());
        let all = read("connect pause --all").expect("it is taken");
        assert_eq!(all.operation(), Some((Operation::Pause, [].as_slice())));
        for line in ["connect resume", "connect pause CrmSource --all", "connect --dry-run"] {
            assert!(read(line).is_err(), "{line}");
        }
    }

    fn steps() -> Vec<Step> {
        let step = |kind, outcome| Step { kind, connector: "Crm".into(), name: "shop.Crm".into(), outcome };
        let declared = |class: Option<&str>, mark_for_removal| Outcome::Declared {
            class: class.map(str::to_owned),
            mark_for_removal,
            declared_at: "src/main.rs:5".to_owned(),
        };
        let task = ShownTask { id: 1, state: "FAILED".into(), worker: "w:2".into(), trace: vec!["no route".into()] };
        let status = Shown { state: "RUNNING".into(), worker: "w:1".into(), trace: vec![], tasks: vec![task] };
        vec![
            step(Kind::List, declared(Some("org.acme.Source"), false)),
            step(Kind::List, declared(None, true)),
            step(Kind::Validate, Outcome::Skipped { why: "it is marked for removal".to_owned() }),
            step(Kind::CheckStatus, Outcome::NotOk { why: "1 of 1 tasks failed".to_owned(), status: Some(status) }),
            step(Kind::Restart, Outcome::Failed { error: "Kafka Connect answers 500: x".to_owned() }),
        ]
    }

    #[test]
    fn a_list_is_a_table() {
        expect![[r#"
            CONNECTOR  NAME      CLASS            DECLARED
            Crm        shop.Crm  org.acme.Source  src/main.rs:5
            Crm        shop.Crm  (to be removed)  src/main.rs:5
        "#]]
        .assert_eq(&listing(&steps()));
    }

    #[test]
    fn programs_get_each_step_with_whether_it_is_fine() {
        let steps: Vec<Step> = steps().into_iter().skip(2).collect();
        expect![[r#"
            [
              {
                "ok": true,
                "step": "validate",
                "connector": "Crm",
                "name": "shop.Crm",
                "outcome": "skipped",
                "why": "it is marked for removal"
              },
              {
                "ok": false,
                "step": "check_status",
                "connector": "Crm",
                "name": "shop.Crm",
                "outcome": "not_ok",
                "why": "1 of 1 tasks failed",
                "status": {
                  "state": "RUNNING",
                  "worker": "w:1",
                  "tasks": [
                    {
                      "id": 1,
                      "state": "FAILED",
                      "worker": "w:2",
                      "trace": [
                        "no route"
                      ]
                    }
                  ]
                }
              },
              {
                "ok": false,
                "step": "restart",
                "connector": "Crm",
                "name": "shop.Crm",
                "outcome": "failed",
                "error": "Kafka Connect answers 500: x"
              }
            ]"#]]
        .assert_eq(&json(&steps));
    }
}
