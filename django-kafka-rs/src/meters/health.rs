//! What is said to probes. Pure: how things stand goes in, the answer comes out.

use std::sync::Arc;
use std::time::Duration;

/// How a consumer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vital {
    pub(crate) consumer: Arc<str>,
    /// Of retry topics, which need not be there.
    pub(crate) is_retry: bool,
    /// Longer than this neither of its parts may be silent: `max.poll.interval.ms`.
    pub(crate) limit: Duration,
    /// Since its poll thread last polled.
    pub(crate) since_poll: Duration,
    pub(crate) engine: EngineState,
}

/// How an engine answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EngineState {
    /// It has ended, or ends.
    Ending,
    /// It answered; whether the group has said which partitions it has.
    Running { is_assigned: bool },
    /// It was asked in vain for so long.
    Silent(Duration),
}

/// Whether the process is to be left alone; else why it is to be started anew.
pub(crate) fn live(vitals: &[Vital]) -> Result<(), String> {
    let mut stuck = Vec::new();
    for vital in vitals {
        let Vital { consumer, limit, since_poll, engine, .. } = vital;
        let stuck_for = |part, silent: Duration| {
            format!(
                "consumer `{consumer}`: its {part} has not moved for {} s, and `max.poll.interval.ms` allows {} s",
                silent.as_secs(),
                limit.as_secs()
            )
        };
        match engine {
            // An end has a limit of its own, and the poll thread does not poll any more.
            EngineState::Ending => continue,
            EngineState::Silent(silent) if silent > limit => stuck.push(stuck_for("engine", *silent)),
            EngineState::Silent(_) | EngineState::Running { .. } => {}
        }
        if since_poll > limit {
            stuck.push(stuck_for("poll thread", *since_poll));
        }
    }
    if stuck.is_empty() { Ok(()) } else { Err(stuck.join("\n")) }
}

/// Whether the process does its work; else what it lacks. `None`: it is starting.
pub(crate) fn ready(vitals: Option<&[Vital]>, database: Result<(), String>) -> Result<(), String> {
    let Some(vitals) = vitals else { return Err("starting: not everything is open yet".to_owned()) };
    let mut missing = Vec::new();
    for Vital { consumer, is_retry, engine, .. } in vitals {
        match engine {
            EngineState::Ending if !is_retry => missing.push(format!("consumer `{consumer}`: it has ended, or ends")),
            EngineState::Silent(_) => missing.push(format!("consumer `{consumer}`: its engine does not answer")),
            EngineState::Running { is_assigned: false } if !is_retry => {
                missing.push(format!("consumer `{consumer}`: its group has not assigned partitions to it"));
            }
            EngineState::Ending | EngineState::Running { .. } => {}
        }
    }
    missing.extend(database.err());
    if missing.is_empty() { Ok(()) } else { Err(missing.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn vital(since_poll: Duration, engine: EngineState) -> Vital {
        Vital { consumer: "Crm".into(), is_retry: false, limit: 300 * SECOND, since_poll, engine }
    }

    #[test]
    fn only_what_is_stuck_for_too_long_is_not_live_and_it_is_named() {
        let running = EngineState::Running { is_assigned: false };
        assert_eq!(live(&[vital(300 * SECOND, running), vital(SECOND, EngineState::Silent(300 * SECOND))]), Ok(()));
        assert_eq!(
            live(&[vital(301 * SECOND, running)]).unwrap_err(),
            "consumer `Crm`: its poll thread has not moved for 301 s, and `max.poll.interval.ms` allows 300 s"
        );
        let both = live(&[vital(400 * SECOND, EngineState::Silent(302 * SECOND))]).unwrap_err();
        assert!(both.contains("its engine has not moved for 302 s") && both.contains("poll thread"), "{both}");
        assert_eq!(live(&[vital(900 * SECOND, EngineState::Ending)]), Ok(()), "a shutdown has its own limits");
    }

    #[test]
    fn ready_are_those_with_an_assignment_and_a_database() {
        let here = vital(SECOND, EngineState::Running { is_assigned: true });
        let joining = vital(SECOND, EngineState::Running { is_assigned: false });
        assert_eq!(ready(Some(std::slice::from_ref(&here)), Ok(())), Ok(()));
        let retry = Vital { is_retry: true, ..joining.clone() };
        assert_eq!(ready(Some(&[here.clone(), retry]), Ok(())), Ok(()), "retry topics may not be there");
        assert!(ready(None, Ok(())).unwrap_err().starts_with("starting"));
        let why = ready(Some(&[here.clone(), joining]), Err("the database does not answer".to_owned())).unwrap_err();
        assert_eq!(why, "consumer `Crm`: its group has not assigned partitions to it\nthe database does not answer");
        let ended = ready(Some(&[vital(SECOND, EngineState::Ending)]), Ok(())).unwrap_err();
        assert_eq!(ended, "consumer `Crm`: it has ended, or ends");
    }
}
