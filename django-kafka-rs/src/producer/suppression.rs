//! Suppression: scopes in which messages are not produced.
//!
//! A scope belongs to the task that runs in it and to the blocking threads of its `Context::db`. It is set for each
//! poll of the scope's future and taken back after it, also where the poll panics; so it can neither leak into another
//! task nor outlive a future that is dropped.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::Arc;

use crate::topic::ProducedTopic;

thread_local! {
    /// What is suppressed while this thread does what it does now.
    static CURRENT: RefCell<Suppression> = const { RefCell::new(Suppression(None)) };
}

/// What is suppressed: nothing, some topics, or all. Cheap to clone.
///
/// A task that is spawned begins with nothing suppressed. To take the scope along, carry it:
///
/// ```
/// # use django_kafka_rs::producer::Suppression;
/// # async fn work() {}
/// # async fn example() {
/// let suppression = Suppression::current();
/// tokio::spawn(suppression.scope(work()));
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suppression(Option<Arc<Layer>>);

#[derive(Debug, PartialEq, Eq)]
enum Layer {
    All,
    Topics { names: Vec<String>, outer: Suppression },
}

impl Suppression {
    /// Nothing is suppressed.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// All topics are.
    #[must_use]
    pub fn all() -> Self {
        Self(Some(Arc::new(Layer::All)))
    }

    /// These topics are.
    #[must_use]
    pub fn of(topics: impl TopicNames) -> Self {
        Self::none().and(topics.into_names())
    }

    /// What is suppressed here and now.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.with_borrow(Self::clone)
    }

    /// Whether all topics are suppressed.
    #[must_use]
    pub fn is_all(&self) -> bool {
        let mut suppression = self;
        loop {
            match suppression.0.as_deref() {
                None => return false,
                Some(Layer::All) => return true,
                Some(Layer::Topics { outer, .. }) => suppression = outer,
            }
        }
    }

    /// Whether the topic of this name is suppressed.
    #[must_use]
    pub fn covers(&self, topic: &str) -> bool {
        let mut suppression = self;
        loop {
            match suppression.0.as_deref() {
                None => return false,
                Some(Layer::All) => return true,
                Some(Layer::Topics { names, .. }) if names.iter().any(|name| name == topic) => return true,
                Some(Layer::Topics { outer, .. }) => suppression = outer,
            }
        }
    }

    /// Runs the future with this suppressed, whatever is suppressed around it.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            let _entered = Entered::enter(self.clone());
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Runs `work` on this thread with this suppressed, whatever is suppressed around it.
    pub fn sync_scope<R>(self, work: impl FnOnce() -> R) -> R {
        let _entered = Entered::enter(self);
        work()
    }

    /// This, and these names.
    fn and(self, names: Vec<String>) -> Self {
        Self(Some(Arc::new(Layer::Topics { names, outer: self })))
    }
}

/// Puts back what was suppressed before, when dropped.
struct Entered {
    before: Suppression,
}

impl Entered {
    fn enter(suppression: Suppression) -> Self {
        Self { before: CURRENT.replace(suppression) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(std::mem::take(&mut self.before));
    }
}

/// Runs the future with these topics suppressed, beside those that are already: messages to them are neither
/// serialized nor sent, and producing returns at once.
///
/// Topics are named as they are declared (`"${prefix}.orders"`) or as the broker knows them (`"shop.orders"`), or by
/// their type. The scope ends with the future, also where that panics or is dropped. It follows the task and the
/// blocking threads of its `Context::db`, not what is spawned: see [`Suppression`].
///
/// ```
/// # use django_kafka_rs::producer::suppress;
/// # async fn import() {}
/// # async fn example() {
/// suppress(["shop.orders", "shop.customers"], import()).await;
/// # }
/// ```
pub async fn suppress<F: Future>(topics: impl TopicNames, future: F) -> F::Output {
    let names = topics.into_names();
    Suppression::current().and(names).scope(future).await
}

/// Runs the future with all topics suppressed. A [`KafkaSkip`](crate::sync::KafkaSkip) that is written meanwhile goes
/// out as true. See [`suppress`].
pub async fn suppress_all<F: Future>(future: F) -> F::Output {
    Suppression::all().scope(future).await
}

/// Runs the future with nothing suppressed, whatever is suppressed around it. See [`suppress`].
pub async fn unsuppress<F: Future>(future: F) -> F::Output {
    Suppression::none().scope(future).await
}

/// Topics, for [`suppress`]: a name, names, or a topic itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no topics",
    note = "give a name, `\"orders\"`; several, `[\"orders\", \"audit\"]`; or a topic that can be produced to, `&Audit`"
)]
pub trait TopicNames {
    /// The names, as declared or as the broker knows them.
    fn into_names(self) -> Vec<String>;
}

impl TopicNames for &str {
    fn into_names(self) -> Vec<String> {
        vec![self.to_owned()]
    }
}
impl TopicNames for String {
    fn into_names(self) -> Vec<String> {
        vec![self]
    }
}
impl<T: ProducedTopic> TopicNames for &T {
    fn into_names(self) -> Vec<String> {
        vec![T::DECLARATION.name.to_owned()]
    }
}
impl<S: AsRef<str>> TopicNames for &[S] {
    fn into_names(self) -> Vec<String> {
        self.iter().map(|name| name.as_ref().to_owned()).collect()
    }
}
impl<S: AsRef<str>, const N: usize> TopicNames for [S; N] {
    fn into_names(self) -> Vec<String> {
        self.as_slice().into_names()
    }
}
impl<S: AsRef<str>, const N: usize> TopicNames for &[S; N] {
    fn into_names(self) -> Vec<String> {
        self.as_slice().into_names()
    }
}
impl<S: AsRef<str>> TopicNames for Vec<S> {
    fn into_names(self) -> Vec<String> {
        self.as_slice().into_names()
    }
}
impl<S: AsRef<str>> TopicNames for &Vec<S> {
    fn into_names(self) -> Vec<String> {
        self.as_slice().into_names()
    }
}

#[cfg(feature = "client")]
impl crate::context::Context {
    /// Runs the future with these topics suppressed. See [`producer::suppress`](suppress).
    pub async fn suppress<F: Future>(&self, topics: impl TopicNames, future: F) -> F::Output {
        suppress(topics, future).await
    }

    /// Runs the future with all topics suppressed. See [`producer::suppress_all`](suppress_all).
    pub async fn suppress_all<F: Future>(&self, future: F) -> F::Output {
        suppress_all(future).await
    }

    /// Runs the future with nothing suppressed. See [`producer::unsuppress`](unsuppress).
    pub async fn unsuppress<F: Future>(&self, future: F) -> F::Output {
        unsuppress(future).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::task::{Context, Waker};

    use super::*;

    /// Runs a future that never waits.
    fn now<F: Future>(future: F) -> F::Output {
        let mut future = pin!(future);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(output) => output,
            std::task::Poll::Pending => panic!("the future waits"),
        }
    }

    fn seen() -> [bool; 3] {
        let current = Suppression::current();
        [current.covers("a"), current.covers("b"), current.is_all()]
    }

    #[test]
    fn scopes_nest_and_end() {
        now(suppress("a", async {
            assert_eq!(seen(), [true, false, false]);
            suppress(["b"], async { assert_eq!(seen(), [true, true, false]) }).await;
            assert_eq!(seen(), [true, false, false]);
            suppress_all(async {
                assert_eq!(seen(), [true, true, true]);
                suppress("a", async { assert_eq!(seen(), [true, true, true]) }).await;
                unsuppress(async {
                    assert_eq!(seen(), [false, false, false]);
                    suppress(vec!["b"], async { assert_eq!(seen(), [false, true, false]) }).await;
                })
                .await;
                assert_eq!(seen(), [true, true, true]);
            })
            .await;
            assert_eq!(seen(), [true, false, false]);
        }));
        assert_eq!(seen(), [false, false, false]);
    }

    #[test]
    fn no_names_suppress_nothing() {
        now(suppress(Vec::<String>::new(), async { assert_eq!(seen(), [false, false, false]) }));
    }

    #[test]
    fn a_panic_ends_the_scope() {
        let panicked = catch_unwind(AssertUnwindSafe(|| now(suppress_all(async { panic!("as planned") }))));
        panicked.expect_err("it panics");
        assert_eq!(seen(), [false, false, false]);
        let panicked = catch_unwind(|| Suppression::all().sync_scope(|| panic!("as planned")));
        panicked.expect_err("it panics");
        assert_eq!(seen(), [false, false, false]);
    }

    #[test]
    fn a_future_that_waits_or_is_dropped_leaves_nothing_behind() {
        let mut waiting = Box::pin(suppress_all(pending::<()>()));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(seen(), [false, false, false], "another task runs meanwhile");
        drop(waiting);
        assert_eq!(seen(), [false, false, false]);
    }

    #[test]
    fn a_scope_is_of_the_place_where_it_is_awaited() {
        let inner = now(suppress("a", ready(suppress("b", async { seen() }))));
        assert_eq!(now(inner), [false, true, false]);
    }

    #[test]
    fn a_carried_scope_is_the_same_elsewhere() {
        let carried = now(suppress("a", async { Suppression::current() }));
        std::thread::spawn(move || carried.sync_scope(|| assert_eq!(seen(), [true, false, false]))).join().unwrap();
    }
}
