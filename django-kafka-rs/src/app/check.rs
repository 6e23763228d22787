//! The commands that look and change nothing (`topics`, `check`), and `migrate`. All block.

use rdkafka::metadata::Metadata;

use super::client_config::consumer_config;
use super::derived;
use super::session::Session;
use super::{Parts, Services, StartError, reach_broker, schemas};
use crate::cli::{CheckReport, Existence, Exit, Finding, TopicKind, TopicRow, counted};
use crate::consumer::{OffsetStore, ledger};
use crate::db::Database;
use crate::registry::{ResolvedConsumer, ResolvedTopic};
use crate::sync::ModelSync;
use crate::topic::names::{self, DerivedNames};
use crate::topic::{HandlerSource, Location};
use crate::topic_admin::{Kind, TopicAdmin, Wanted};

/// Runs migrations; gives the names of those that were run.
pub(crate) fn migrate(mut parts: Parts) -> Result<Vec<String>, StartError> {
    let services = Services::start(std::mem::take(&mut parts.settings))?;
    let Some(database) = services.open_database()? else { return Err(no_database()) };
    parts.migrate(&database)
}

/// The topics of the program, and what the broker has of them.
pub(crate) fn topics(mut parts: Parts, create: bool) -> Result<Vec<TopicRow>, StartError> {
    let consumers = parts.resolve(&[])?;
    let services = Services::start(std::mem::take(&mut parts.settings))?;
    let asking = services.asking_config()?;
    let mut metadata = reach_broker(&asking).map_err(StartError::Broker)?;
    // The embedded broker has what is created in this very run, and no more.
    if create || services.embedded.is_some() {
        create_topics(&parts, &consumers, &services)?;
        metadata = reach_broker(&asking).map_err(StartError::Broker)?;
    }
    Ok(rows(&parts, &consumers, &services, &metadata))
}

fn create_topics(parts: &Parts, consumers: &[ResolvedConsumer], services: &Services) -> Result<(), StartError> {
    let settings = &services.settings;
    let admin = TopicAdmin::new(services.asking_config()?, services.embedded.clone(), settings.topics.clone());
    // The declared ones first: the others take their partitions from them.
    let declared: Vec<Wanted> = parts.declared_topics(settings, consumers).into_iter().collect();
    let suffixes = settings.suffixes();
    let derived: Vec<Wanted> = consumers
        .iter()
        .flat_map(|consumer| consumer.retry_topics(suffixes).into_iter().chain(consumer.dead_letter_topics(suffixes)))
        .collect();
    let mut failed = Vec::new();
    for topics in [declared, derived] {
        let result = tokio::runtime::Handle::current().block_on(admin.create(&topics));
        failed.extend(
            result.failed.into_iter().chain(result.not_yet).map(|(topic, reason)| format!("`{topic}`: {reason}")),
        );
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(StartError::Broker(format!("topics could not be created:\n  - {}", failed.join("\n  - "))))
}

fn rows(parts: &Parts, consumers: &[ResolvedConsumer], services: &Services, metadata: &Metadata) -> Vec<TopicRow> {
    let suffixes = services.settings.suffixes();
    let mut rows: Vec<TopicRow> = Vec::new();
    for consumer in consumers {
        for topic in &consumer.topics {
            let row = |name: String, kind, existence, location: Location| TopicRow {
                name,
                kind,
                existence,
                consumer: Some(consumer.declaration.type_name.to_owned()),
                declared_at: location.to_string(),
            };
            let location = topic.entry.declaration.location;
            if topic.name.starts_with('^') {
                let matches = Existence::Matches(matching(&topic.name, metadata));
                rows.push(row(topic.name.clone(), TopicKind::Pattern, matches, location));
                continue;
            }
            let of_topic =
                |wanted: &Wanted| matches!(&wanted.kind, Kind::Retry { origin, .. } if *origin == topic.name);
            let retries: Vec<Wanted> = consumer.retry_topics(suffixes).into_iter().filter(of_topic).collect();
            let dead_letters =
                DerivedNames { group: &consumer.group, topic: &topic.name, suffixes }.dead_letter_topic();
            rows.push(row(topic.name.clone(), TopicKind::Consumed, existence(&topic.name, metadata), location));
            if consumer.is_tracker() {
                continue;
            }
            for retry in retries {
                let existence = existence(&retry.name, metadata);
                rows.push(row(retry.name, TopicKind::Retry, existence, location));
            }
            let existence = existence(&dead_letters, metadata);
            rows.push(row(dead_letters, TopicKind::DeadLetter, existence, location));
        }
    }
    for topic in parts.registry.topics.iter().filter(|topic| !topic.is_regex()) {
        let Ok(name) = names::substitute(topic.name, &services.settings.topic_variables, false) else { continue };
        if rows.iter().all(|row| row.name != name) {
            rows.push(TopicRow {
                existence: existence(&name, metadata),
                name,
                kind: TopicKind::Produced,
                consumer: None,
                declared_at: topic.location.to_string(),
            });
        }
    }
    rows
}

fn existence(name: &str, metadata: &Metadata) -> Existence {
    match metadata.topics().iter().find(|topic| topic.name() == name && topic.error().is_none()) {
        Some(topic) if !topic.partitions().is_empty() => Existence::Exists { partitions: topic.partitions().len() },
        _ => Existence::Missing,
    }
}

fn matching(pattern: &str, metadata: &Metadata) -> Vec<String> {
    let Ok(pattern) = regex::Regex::new(pattern) else { return Vec::new() };
    let mut names: Vec<String> =
        metadata.topics().iter().map(|topic| topic.name().to_owned()).filter(|name| pattern.is_match(name)).collect();
    names.sort();
    names
}

/// Looks at everything that a start needs, and goes on after each failure as far as that makes sense.
pub(crate) fn check(mut parts: Parts, mut report: CheckReport) -> CheckReport {
    report.set_settings(parts.settings.effective());
    let warnings = parts.settings.warnings();
    report
        .add("settings", if warnings.is_empty() { settings_ok(&parts) } else { Finding::Warning(warnings.join("\n")) });
    let consumers = parts.resolve(&[]);
    report.add(
        "declarations",
        match &consumers {
            Ok(consumers) => Finding::Ok(declared(consumers)),
            Err(error) => error.finding(),
        },
    );
    let services = match Services::start(std::mem::take(&mut parts.settings)) {
        Ok(services) => services,
        Err(error) => {
            report.add("embedded", error.finding());
            return report;
        }
    };
    match consumers {
        Ok(consumers) => {
            check_broker(&mut report, &parts, &services, &consumers);
            check_schema_registry(&mut report, &parts, &services);
            check_database(&mut report, &parts, &services, &consumers);
        }
        Err(_) => {
            check_broker(&mut report, &parts, &services, &[]);
            // Which models there are is not known.
            report.add("database", Finding::Skipped("the declarations are not right".to_owned()));
        }
    }
    #[cfg(feature = "temporal")]
    super::temporal::check(&mut report, &services.settings);
    #[cfg(feature = "connect")]
    {
        let asked = super::connect::check(&parts.registry.connectors, &services.settings);
        for (what, finding) in tokio::runtime::Handle::current().block_on(asked) {
            report.add(what, finding);
        }
    }
    report
}

fn settings_ok(parts: &Parts) -> Finding {
    Finding::Ok(match parts.settings.file() {
        Some(file) => format!("read from {}", file.display()),
        None => "no settings file; defaults and the environment".to_owned(),
    })
}

fn declared(consumers: &[ResolvedConsumer]) -> String {
    let topics: usize = consumers.iter().map(|consumer| consumer.topics.len()).sum();
    format!("{}, {}", counted(consumers.len(), "consumer"), counted(topics, "topic"))
}

fn check_broker(report: &mut CheckReport, parts: &Parts, services: &Services, consumers: &[ResolvedConsumer]) {
    let metadata = match services.asking_config().map(|config| reach_broker(&config)) {
        Ok(Ok(metadata)) => metadata,
        Ok(Err(message)) => {
            report.add("broker", Finding::Failed { exit: Exit::Failed, message });
            report.add("topics", Finding::Skipped("the broker was not reached".to_owned()));
            return;
        }
        Err(error) => {
            report.add("broker", error.finding());
            return;
        }
    };
    report.add("broker", Finding::Ok(format!("{} there", counted(metadata.brokers().len(), "broker"))));
    let missing: Vec<String> = rows(parts, consumers, services, &metadata)
        .into_iter()
        .filter(|row| !matches!(row.kind, TopicKind::DeadLetter | TopicKind::Retry))
        .filter_map(|row| match row.existence {
            Existence::Missing => Some(format!("no topic `{}` yet: it is consumed as soon as it is there", row.name)),
            Existence::Matches(names) if names.is_empty() => Some(format!("no topic matches `{}` yet", row.name)),
            _ => None,
        })
        .collect();
    let finding =
        if missing.is_empty() { Finding::Ok("all there".to_owned()) } else { Finding::Warning(missing.join("\n")) };
    report.add("topics", finding);
    if services.embedded.is_none()
        && let Some(finding) = derived::check(services, consumers, &metadata)
    {
        report.add("retries", finding);
    }
    report.add("sessions", sessions(services, consumers, &metadata));
}

/// How long the partitions of a consumer that was killed stand still.
fn sessions(services: &Services, consumers: &[ResolvedConsumer], metadata: &Metadata) -> Finding {
    let mut lines = Vec::new();
    for consumer in consumers {
        let asked = services.asking_config().and_then(|asking| {
            let config = consumer_config(consumer, false, false, &services.settings, false)?;
            Ok(Session::of(&config, &asking, metadata))
        });
        let name = consumer.declaration.type_name;
        match asked {
            Ok(session) => lines.push(format!(
                "`{name}`: {}, so long its partitions stand still when it is killed (`session.timeout.ms`)",
                humantime::format_duration(session.timeout)
            )),
            Err(error) => return error.finding(),
        }
    }
    if lines.is_empty() { Finding::Skipped("no consumer".to_owned()) } else { Finding::Ok(lines.join("\n")) }
}

/// Whether the registry answers, and takes the declared schemas. Programs without Avro need no line about it.
fn check_schema_registry(report: &mut CheckReport, parts: &Parts, services: &Services) {
    let needed = !schemas::needing(&parts.registry).is_empty();
    let registry = match services.schema_registry() {
        Ok(Some(registry)) => registry,
        Ok(None) if needed => {
            let message = schemas::without_registry(&parts.registry).join("\n");
            return report.add("schema registry", Finding::Failed { exit: Exit::WrongUse, message });
        }
        Ok(None) => return,
        Err(error) => return report.add("schema registry", error.finding()),
    };
    if !needed && services.embedded_registry.is_some() {
        return;
    }
    let failed = |message| Finding::Failed { exit: Exit::Failed, message };
    let asked = tokio::runtime::Handle::current().block_on(async {
        registry.reach().await.map_err(|error| error.to_string())?;
        schemas::refused(&parts.registry, &registry, &services.settings).await
    });
    report.add(
        "schema registry",
        match asked {
            Ok(()) => Finding::Ok(format!("answers at {}", registry.address())),
            Err(message) => failed(message),
        },
    );
}

fn check_database(report: &mut CheckReport, parts: &Parts, services: &Services, consumers: &[ResolvedConsumer]) {
    let keeps_offsets = |consumer: &&ResolvedConsumer| consumer.declaration.offsets == OffsetStore::Database;
    let needed = consumers.iter().flat_map(|consumer| &consumer.topics).any(ResolvedTopic::is_model)
        || consumers.iter().any(|consumer| keeps_offsets(&consumer));
    let database = match services.open_database().and_then(|found| match found {
        Some(database) => database.ping().map(|()| Some(database)).map_err(|e| StartError::Database(e.to_string())),
        None => Ok(None),
    }) {
        Ok(Some(database)) => database,
        Ok(None) if needed => return report.add("database", no_database().finding()),
        Ok(None) => return report.add("database", Finding::Ok("none named, and no model needs one".to_owned())),
        Err(error) => return report.add("database", error.finding()),
    };
    report.add("database", Finding::Ok("answers".to_owned()));
    match parts.pending_migrations(&database) {
        Ok(pending) if pending.is_empty() => report.add("migrations", Finding::Ok("none pending".to_owned())),
        // In embedded mode they run at each start.
        Ok(_) if services.embedded.is_some() => {
            report.add("migrations", Finding::Ok("run at start".to_owned()));
            return report.add("tables", Finding::Skipped("they are made by the migrations at start".to_owned()));
        }
        Ok(pending) => {
            let message = format!("pending: {}; run `migrate`", pending.join(", "));
            report.add("migrations", Finding::Failed { exit: Exit::Failed, message });
        }
        Err(error) => report.add("migrations", error.finding()),
    }
    report.add("tables", check_tables(consumers, &database));
    let keeping: Vec<&str> = consumers.iter().filter(keeps_offsets).map(|c| c.declaration.type_name).collect();
    if !keeping.is_empty() {
        report.add(
            "offsets",
            match ledger::check_tables(&database) {
                Ok(()) => Finding::Ok(format!("in the database: {}", keeping.join(", "))),
                Err(message) => Finding::Failed { exit: Exit::Failed, message },
            },
        );
    }
}

fn check_tables(consumers: &[ResolvedConsumer], database: &Database) -> Finding {
    let mut mistakes = Vec::new();
    for topic in consumers.iter().flat_map(|consumer| &consumer.topics) {
        let HandlerSource::Models(model_topic) = (topic.entry.handler)() else { continue };
        let checked = ModelSync::new(model_topic).and_then(|mut sync| sync.prepare(database));
        mistakes.extend(checked.err().into_iter().flatten());
    }
    mistakes.dedup();
    if mistakes.is_empty() {
        Finding::Ok("as the models need them".to_owned())
    } else {
        Finding::Failed { exit: Exit::Failed, message: mistakes.join("\n") }
    }
}

pub(super) fn no_database() -> StartError {
    StartError::Database(
        "no database is named: set `database_url` in the settings, or DJANGO_KAFKA__DATABASE_URL".to_owned(),
    )
}
