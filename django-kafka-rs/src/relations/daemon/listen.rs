//! What other processes tell through PostgreSQL: a connection of its own that listens, beside those of the pool.
//!
//! It only saves waiting. Where nothing can be heard (the connection is away, a pooler in between that keeps no sessions,
//! SQLite) the daemon looks every interval as it would anyway.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use diesel::PgConnection;
use diesel::connection::SimpleConnection as _;

use super::Resolver;
use crate::db::{Database, DatabaseError, failure, introspect};
use crate::relations::told;
use crate::relations::wake::{News, Wake};

/// Between two looks at the socket, which cost a system call each: libpq's is not to be had to wait for.
const POLL: Duration = Duration::from_millis(100);
/// The daemon is told of what was heard no more often than this.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// Before a connection that was lost is opened again; doubled while that fails.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// At most.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Listening {
    /// Its end is noticed at once.
    _stop: Sender<()>,
}

/// Listens for what other processes tell the daemon of this resolver; `None`: there is nobody who could be heard.
pub(super) fn listen(resolver: &Resolver) -> Option<Listening> {
    let database = resolver.0.database.clone();
    let channel = resolver.relations().processor.channel()?.to_owned();
    database.is_postgres().then_some(())?;
    let wake = resolver.relations().wake.clone();
    let (stop, stopped) = mpsc::channel();
    // A thread, because its calls block, for ten seconds where the server is away; nobody waits for its end.
    let listener = Listener { database, channel, wake, stopped };
    let started = std::thread::Builder::new().name("dk-listen".to_owned()).spawn(move || listener.run());
    match started {
        Ok(_) => Some(Listening { _stop: stop }),
        Err(error) => {
            tracing::warn!("other processes are not heard, waiting messages are looked at by interval: {error}");
            None
        }
    }
}

struct Listener {
    database: Database,
    channel: String,
    wake: Wake,
    stopped: Receiver<()>,
}

impl Listener {
    fn run(self) {
        let mut pause = PAUSE_MIN;
        loop {
            let begun = Instant::now();
            let Err(why) = self.session() else { return };
            if begun.elapsed() > PAUSE_MAX {
                pause = PAUSE_MIN;
            }
            tracing::warn!(
                "what other processes tell of awaited rows is not heard, tried again in {pause:?}; until then waiting \
                 messages are looked at by interval: {why}"
            );
            if self.is_stopped(pause) {
                return;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Waits; whether it is to end.
    fn is_stopped(&self, pause: Duration) -> bool {
        !matches!(self.stopped.recv_timeout(pause), Err(RecvTimeoutError::Timeout))
    }

    /// One connection, until it is to end. `Err`: it is lost, and why.
    fn session(&self) -> Result<(), String> {
        let mut conn = self.open().map_err(|error| error.to_string())?;
        tracing::debug!(channel = self.channel, "listening for awaited rows");
        let mut heard = Heard::default();
        // Of what came while nobody listened nothing is known.
        heard.add(News { all: true, ..News::default() });
        loop {
            if let Some(news) = heard.due(Instant::now()) {
                self.wake.tell(news);
            }
            if self.is_stopped(POLL) {
                return Ok(());
            }
            for notification in conn.notifications_iter() {
                let notification = notification.map_err(|error| failure::one_line(&error))?;
                if let Some(news) = told::read(self.wake.name(), &notification.payload) {
                    heard.add(news);
                }
            }
        }
    }

    fn open(&self) -> Result<PgConnection, DatabaseError> {
        let mut conn = self.database.open_postgres()?;
        // A session that only listens is idle by intention. Servers before PostgreSQL 14 have no such limit.
        let _ = conn.batch_execute("SET idle_session_timeout = 0");
        let listen = format!("LISTEN {}", introspect::quoted(&self.channel));
        conn.batch_execute(&listen).map_err(|error| DatabaseError::Unavailable(failure::one_line(&error)))?;
        Ok(conn)
    }
}

/// What was heard and the daemon was not told yet. Pure.
#[derive(Default)]
struct Heard {
    news: News,
    told: Option<Instant>,
}

impl Heard {
    fn add(&mut self, news: News) {
        self.news.add(news);
    }

    /// What the daemon is to be told now.
    fn due(&mut self, now: Instant) -> Option<News> {
        let is_due = !self.news.is_empty() && self.told.is_none_or(|told| now - told >= TOLD_EVERY);
        is_due.then(|| {
            self.told = Some(now);
            std::mem::take(&mut self.news)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_is_told_at_once_and_then_once_a_second_however_much_is_heard() {
        let (mut heard, begin) = (Heard::default(), Instant::now());
        let mut told = Vec::new();
        for ms in (0..3_500).step_by(100) {
            heard.add(News { gone: true, ..News::default() });
            if heard.due(begin + Duration::from_millis(ms)).is_some() {
                told.push(ms);
            }
        }
        assert_eq!(told, [0, 1_000, 2_000, 3_000]);
        assert!(Heard::default().due(begin).is_none());
    }
}
