//! The command `connect`, and Kafka Connect's line of `check`.

use super::services::environment;
use super::{Parts, StartError};
use crate::cli::{ConnectArgs, Exit, Failure, Finding, counted};
use crate::connect::ConnectorDeclaration;
use crate::connect::answer::{Looks, Verdict, judge};
use crate::connect::client::ConnectClient;
use crate::connect::command::{self, Ready, Run, Wanted};
use crate::connect::resolve::{self, FilledConfig, NamedConnector};
use crate::connect::step::Step;
use crate::nearest::nearest;
use crate::settings::Settings;

/// Does what the command line asks for; `say` is told of each step. The text is what is left to say.
pub(super) async fn connect(
    parts: Parts,
    arguments: &ConnectArgs,
    mut say: impl FnMut(Step),
) -> Result<String, Failure> {
    let declared = resolve::resolve(&parts.registry.connectors, &parts.settings).map_err(StartError::Declarations)?;
    let operation = arguments.operation();
    let names = operation.as_ref().map_or(arguments.connectors.as_slice(), |(_, names)| names);
    let chosen = choose(declared, names).map_err(|message| Failure::new(Exit::WrongUse, message))?;
    let wanted = arguments.wanted();
    if wanted.list {
        command::list(&chosen, &mut say);
        if (Wanted { list: false, dry_run: false, ..wanted }) == Wanted::default() {
            return Ok(String::new());
        }
    }
    let ready = ready(&parts, chosen, wanted)?;
    let client = ConnectClient::new(&parts.settings).map_err(|message| Failure::new(Exit::WrongUse, message))?;
    let run = Run::new(&client, Looks::DEFAULT, say);
    let failed = match operation {
        Some((operation, _)) => run.operate(&ready, operation).await,
        None => run.manage(&ready, wanted).await,
    };
    if failed == 0 {
        return Ok(String::new());
    }
    let message = format!("{failed} of {} connectors failed", ready.len());
    if arguments.ignore_failures {
        return Ok(format!("{message}; ignored, as `--ignore-failures` says"));
    }
    Err(Failure::new(Exit::Failed, message))
}

/// The connectors of these names: of their structs (with or without a path), or as Kafka Connect has them. None: all.
fn choose(declared: Vec<NamedConnector>, names: &[String]) -> Result<Vec<NamedConnector>, String> {
    if declared.is_empty() {
        return Err(
            "no connector is declared in this program: write `#[connector(config(…))] struct …;`. If it is in \
                    another crate, name that crate once, or the linker leaves it out: `use my_models as _;`"
                .to_owned(),
        );
    }
    let is = |connector: &NamedConnector, name: &str| {
        let last = name.rsplit(['.', ':']).next().unwrap_or(name);
        connector.name == name || connector.declaration.type_name == last
    };
    for name in names {
        if !declared.iter().any(|connector| is(connector, name)) {
            let known: Vec<&str> = declared.iter().map(|connector| connector.declaration.type_name).collect();
            let hint = match nearest(name, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", known.join(", ")),
            };
            return Err(format!("there is no connector `{name}`; {hint}"));
        }
    }
    Ok(declared
        .into_iter()
        .filter(|connector| names.is_empty() || names.iter().any(|name| is(connector, name)))
        .collect())
}

/// Fills the configurations in. What is missing of those that are sent is said together, before anything is.
fn ready(parts: &Parts, chosen: Vec<NamedConnector>, wanted: Wanted) -> Result<Vec<Ready>, StartError> {
    let (mut ready, mut missing) = (Vec::with_capacity(chosen.len()), Vec::new());
    for connector in chosen {
        let (config, mistakes) = FilledConfig::as_far_as_known(&connector, &parts.settings, &environment);
        if (wanted.validate || wanted.publish) && !connector.declaration.mark_for_removal {
            missing.extend(mistakes);
        }
        ready.push(Ready { connector, config });
    }
    if missing.is_empty() { Ok(ready) } else { Err(StartError::Connectors(missing)) }
}

/// Kafka Connect, and how the connectors of the program are there. Nothing, where the program has neither.
pub(super) async fn check(declared: &[ConnectorDeclaration], settings: &Settings) -> Vec<(&'static str, Finding)> {
    // What is wrong with them was said with the other declarations.
    let Ok(connectors) = resolve::resolve(declared, settings) else { return Vec::new() };
    if settings.connect_host.is_none() {
        if connectors.is_empty() {
            return Vec::new();
        }
        let declared = counted(connectors.len(), "connector");
        let message = format!("{declared} declared, but `connect_host` is not set: `connect` needs it");
        return vec![("connect", Finding::Warning(message))];
    }
    let failed = |message| Finding::Failed { exit: Exit::Failed, message };
    let client = match ConnectClient::new(settings) {
        Ok(client) => client,
        Err(message) => return vec![("connect", Finding::Failed { exit: Exit::WrongUse, message })],
    };
    let mut findings = match client.server().await {
        Ok(server) => {
            let cluster = if server.kafka_cluster_id.is_empty() { "unknown" } else { &server.kafka_cluster_id };
            vec![(
                "connect",
                Finding::Ok(format!(
                    "Kafka Connect {} at {}, of the Kafka cluster {cluster}",
                    server.version,
                    client.address()
                )),
            )]
        }
        Err(error) => {
            return vec![
                ("connect", failed(error.to_string())),
                ("connectors", Finding::Skipped("Kafka Connect was not reached".to_owned())),
            ];
        }
    };
    if !connectors.is_empty() {
        findings.push(("connectors", check_connectors(settings, &client, &connectors).await));
    }
    findings
}

/// Consumers run without them, so that nothing here is worse than a warning.
async fn check_connectors(settings: &Settings, client: &ConnectClient, connectors: &[NamedConnector]) -> Finding {
    let (mut lines, mut is_fine) = (Vec::new(), true);
    for connector in connectors {
        let name = connector.declaration.type_name;
        let (config, missing) = FilledConfig::as_far_as_known(connector, settings, &environment);
        let status = match client.status(&connector.name).await {
            Ok(status) => status,
            Err(error) => return Finding::Warning(config.scrub(&error.to_string())),
        };
        let state = status.as_ref().map(|status| status.connector.state.as_str());
        let (line, fine) = match (judge(status.as_ref()), connector.declaration.mark_for_removal, state) {
            (_, true, None) => (format!("`{name}`: removed, as it is marked"), true),
            (_, true, Some(_)) => {
                (format!("`{name}`: marked for removal, and still there: `connect {name} --publish`"), false)
            }
            (_, false, None) => (format!("`{name}`: not there: `connect {name} --publish`"), false),
            (Verdict::Runs | Verdict::RunsWithoutTasks, false, Some(state)) => (format!("`{name}`: {state}"), true),
            (Verdict::NotYet | Verdict::DoesNot, false, Some(_)) => {
                (format!("`{name}`: does not run: `connect {name} --check-status` says why"), false)
            }
        };
        is_fine &= fine;
        lines.push(line);
        // Only the command needs them, wherever it is run.
        if !missing.is_empty() && !connector.declaration.mark_for_removal {
            is_fine = false;
            lines.push(format!(
                "`{name}`: {} of its values not known here: `connect --validate` names them",
                missing.len()
            ));
        }
    }
    if is_fine { Finding::Ok(lines.join("\n")) } else { Finding::Warning(lines.join("\n")) }
}
