//! The daemon inside the process.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Done, ResolveError, Resolver, ResolverDaemon};
use crate::relations::{Awaited, News};

/// The longest pause after a look that failed.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The shortest.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Looks at what waits every so often, and at once when an awaited row has come. The default.
///
/// Of rows that other processes write it hears on PostgreSQL, by `LISTEN` on a connection beside the pool's; on SQLite
/// their messages wait for the next look.
#[derive(Debug, Clone, Copy)]
pub struct LocalDaemon {
    interval: Duration,
}

impl LocalDaemon {
    /// `interval`: between two looks, where nothing says that there is something to do.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self { interval }
    }
}

impl ResolverDaemon for LocalDaemon {
    fn run(&self, resolver: Resolver, stop: CancellationToken) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(run(resolver, self.interval, stop))
    }
}

async fn run(resolver: Resolver, interval: Duration, stop: CancellationToken) {
    let mut after = None;
    let mut pause = interval;
    let mut failed = false;
    #[cfg(feature = "postgres")]
    let _listening = super::listen::listen(&resolver);
    loop {
        let wake = resolver.relations().wake.clone();
        let news = tokio::select! {
            () = stop.cancelled() => break,
            () = wake.woken() => Some(wake.take()),
            () = resolver.pause(pause) => None,
        };
        match work(&resolver, news, &mut after).await {
            Ok(done) => {
                if done.taken > 0 {
                    tracing::debug!(taken = done.taken, resolved = done.resolved, "waiting messages");
                }
                // What is left of a look that was cut short is looked at soon.
                pause = if after.is_some() { interval / 10 } else { interval };
                failed = false;
            }
            Err(error) => {
                // Its news is lost: everything is looked at, soon at first.
                pause = if failed { (pause * 2).min(PAUSE_MAX) } else { PAUSE_MIN };
                failed = true;
                tracing::warn!("waiting messages stay for now, looked at again in {pause:?}: {error}");
            }
        }
    }
    // What came with the last messages.
    let news = resolver.relations().wake.take();
    if !news.is_empty()
        && let Err(error) = work(&resolver, Some(news), &mut after).await
    {
        tracing::warn!("waiting messages stay until the next start: {error}");
    }
}

/// One look, on a thread that may block.
async fn work(resolver: &Resolver, news: Option<News>, after: &mut Option<Awaited>) -> Result<Done, ResolveError> {
    let resolver = resolver.clone();
    let mut place = after.take();
    let look = move || {
        let done = resolver.work(|resolver| match news {
            Some(news) if !news.all => resolver.follow(&news),
            _ => resolver.look(&mut place),
        });
        (done, place)
    };
    match tokio::task::spawn_blocking(look).await {
        Ok((done, place)) => {
            *after = place;
            done
        }
        Err(error) => Err(ResolveError::Unavailable(format!("a fault of ours: {error}"))),
    }
}
