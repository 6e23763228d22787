//! Topic reproducers: a table's change events, augmented and told on as messages of a public topic.

use std::future::Future;
use std::marker::PhantomData;

use serde_json::Value;

use super::{Decode, Topic, TopicConsumer, TopicDeclaration};
use crate::context::Context;
use crate::db::DbConn;
use crate::error::{ConsumeError, ConsumeResult, DecodeError};
use crate::format::debezium::event::{Event, EventKey, EventRow};
use crate::record::Record;

/// Consumes the change events of a table and tells them on to the topic `T`: in `topics(…)` of a consumer.
///
/// Its topic is `{namespace}.{name}`, where the name is the model's table unless `#[reproduce(…)]` says another, and the
/// namespace that of `#[reproduce(…)]` or else of the setting `[reproducer_config]`. It is retried as `T`'s
/// `retry(…)` says. Events are JSON or Avro, as their first byte says, flat or in Debezium's envelope. A record's key
/// and value are the event's key and row as JSON: without their schema, and without the envelope; of Avro, decimals
/// are texts, and bytes are base64.
#[derive(Debug)]
pub struct Reproducer<T: Reproduce>(T);

impl<T: Reproduce> Reproducer<T> {
    /// For topics that are no unit structs, to be given to the application: `App::topic`.
    pub fn new(topic: T) -> Self {
        Self(topic)
    }
}

/// How the events of a table become messages of this topic. With `#[derive(TopicReproducer)]` on the topic.
///
/// ```
/// # use django_kafka_rs::prelude::*;
/// # diesel::table! { orders (id) { id -> BigInt, total -> Double, } }
/// # #[derive(Queryable, Selectable, Identifiable)]
/// # struct Order { id: i64, total: f64 }
/// # #[derive(serde::Serialize)]
/// # struct PublicOrder { total: f64 }
/// #[topic(name = "orders", key = i64, key_format = json, value = PublicOrder)]
/// #[derive(TopicReproducer)]
/// #[reproduce(model = Order, namespace = "${prefix}.public")]
/// struct PublicOrders;
///
/// # #[cfg(feature = "client")]
/// impl Reproduce for PublicOrders {
///     type Model = Order;
///     async fn upsert(&self, order: Order, _: &Record<Reproducer<Self>>, cx: &Context) -> ConsumeResult {
///         cx.produce(self, order.id, PublicOrder { total: order.total }).await?;
///         Ok(())
///     }
///     async fn delete(&self, id: i64, _: &Record<Reproducer<Self>>, cx: &Context) -> ConsumeResult {
///         cx.tombstone(self, id).await?;
///         Ok(())
///     }
/// }
/// # fn main() {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how events become messages of its topic",
    label = "no `Reproduce` for this topic",
    note = "implement `Reproduce` for `{Self}`, and derive `TopicReproducer` on it"
)]
pub trait Reproduce: Topic + ReproducedTopic + ReproducedModel<<Self as Reproduce>::Model> {
    /// The model whose rows the events are about, as in `#[reproduce(model = …)]`.
    type Model: Send + 'static;

    /// Tells on that a row was written. `instance` is the row as it is now in the database, loaded by the primary key
    /// in the event's key. To be implemented, unless [`reproduce`](Self::reproduce) is.
    fn upsert(
        &self,
        instance: Self::Model,
        record: &Record<Reproducer<Self>>,
        cx: &Context,
    ) -> impl Future<Output = ConsumeResult> + Send {
        const { Missing::<Self>::UPSERT };
        let _ = (instance, record, cx);
        std::future::ready(Ok(()))
    }

    /// Tells on that a row was deleted. `id` is its primary key. To be implemented, unless
    /// [`reproduce`](Self::reproduce) is.
    fn delete(
        &self,
        id: Self::Id,
        record: &Record<Reproducer<Self>>,
        cx: &Context,
    ) -> impl Future<Output = ConsumeResult> + Send {
        const { Missing::<Self>::DELETE };
        let _ = (id, record, cx);
        std::future::ready(Ok(()))
    }

    /// Handles one event: calls [`delete`](Self::delete) for a deletion, nothing for a row with `kafka_skip` or one
    /// that is gone, and [`upsert`](Self::upsert) otherwise.
    fn reproduce(&self, record: &Record<Reproducer<Self>>, cx: &Context) -> impl Future<Output = ConsumeResult> + Send {
        async move {
            let event = Event::read(record.raw_value(), record.value_schema())?;
            if event == Event::Nothing || event.is_skipped() {
                return Ok(());
            }
            let key = if record.raw_key().is_some() { record.key()? } else { Value::Null };
            let row = match &event {
                Event::Row(row) | Event::Deletion(Some(row)) => row,
                Event::Deletion(None) | Event::Nothing => &Value::Null,
            };
            let id = Self::__id(&key, row)?;
            if matches!(event, Event::Deletion(_)) {
                return self.delete(id, record, cx).await;
            }
            match load::<Self>(id, cx).await? {
                Some(instance) => self.upsert(instance, record, cx).await,
                None => {
                    tracing::debug!(topic = record.topic(), offset = record.offset(), "the row is gone meanwhile");
                    Ok(())
                }
            }
        }
    }
}

#[cfg(feature = "client")]
async fn load<T: Reproduce>(id: T::Id, cx: &Context) -> Result<Option<T::Model>, ConsumeError> {
    cx.db(move |conn: &mut DbConn| <T as ReproducedModel<T::Model>>::__load(conn, id)).await
}

/// Nothing runs handlers in this build.
#[cfg(not(feature = "client"))]
#[expect(clippy::unused_async, reason = "as the other one")]
async fn load<T: Reproduce>(_id: T::Id, _cx: &Context) -> Result<Option<T::Model>, ConsumeError> {
    Ok(None)
}

/// Evaluated only where the method that names it is used.
struct Missing<T: ?Sized>(PhantomData<T>);

impl<T: ?Sized> Missing<T> {
    const UPSERT: () = panic!(
        "`upsert` is missing: implement it in `impl Reproduce`, or implement `reproduce` instead of `upsert` and `delete`"
    );
    const DELETE: () = panic!(
        "`delete` is missing: implement it in `impl Reproduce`, or implement `reproduce` instead of `upsert` and `delete`"
    );
}

/// What `#[reproduce(…)]` says. Written by `#[derive(TopicReproducer)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which events it tells on",
    note = "derive it: `#[derive(TopicReproducer)]` and `#[reproduce(model = …)]` below `#[topic(…)]`"
)]
pub trait ReproducedTopic {
    /// The primary key of the model's rows; JSON where no model is named.
    type Id: Send + 'static;

    #[doc(hidden)]
    const __SOURCE: ReproducedSource;

    /// The primary key in an event's key, or else in its row.
    #[doc(hidden)]
    fn __id(key: &Value, row: &Value) -> Result<Self::Id, DecodeError>;
}

/// The model whose events are told on. Written by `#[derive(TopicReproducer)]`.
#[diagnostic::on_unimplemented(
    message = "`#[reproduce(…)]` of `{Self}` names another model than `{M}`",
    label = "`type Model` is not that of `#[reproduce(model = …)]`",
    note = "write the same type in `type Model = …;` and in `#[reproduce(model = …)]`"
)]
pub trait ReproducedModel<M>: ReproducedTopic {
    #[doc(hidden)]
    fn __load(conn: &mut DbConn, id: Self::Id) -> Result<Option<M>, ConsumeError>;
}

/// Which topic a reproducer consumes.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct ReproducedSource {
    /// The reproducer's type, for messages.
    pub type_name: &'static str,
    /// The topic's name for whoever reads it before the settings are known; no two reproducers have the same.
    pub template: &'static str,
    /// `namespace`, with `${variables}`; `None`: the setting's.
    pub namespace: Option<&'static str>,
    /// The name, or the model's table.
    pub name: SourceName,
}

/// The part behind the namespace.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum SourceName {
    /// `name`, with `${variables}`.
    Said(&'static str),
    /// The model's table.
    Table(fn() -> String),
}

impl ReproducedSource {
    /// The topic's name, its variables not yet filled in. `namespace` is the setting.
    pub(crate) fn topic(&self, namespace: Option<&str>) -> String {
        let name = match self.name {
            SourceName::Said(name) => name.to_owned(),
            SourceName::Table(table) => table(),
        };
        match self.namespace.or(namespace) {
            Some(namespace) => format!("{namespace}.{name}"),
            None => name,
        }
    }
}

#[diagnostic::do_not_recommend]
impl<T: Reproduce> Topic for Reproducer<T> {
    type Key = Value;
    type Value = Value;
    type KeyFormat = EventKey;
    type ValueFormat = EventRow;
    const DECLARATION: TopicDeclaration = TopicDeclaration {
        retry: T::DECLARATION.retry,
        reproduces: Some(T::__SOURCE),
        key_wire: <EventKey as Decode<Value>>::WIRE,
        value_wire: <EventRow as Decode<Value>>::WIRE,
        ..TopicDeclaration::new(T::__SOURCE.type_name, T::__SOURCE.template, T::DECLARATION.location)
    };

    fn __construct() -> Option<Self> {
        T::__construct().map(Self)
    }
}

impl<T: Reproduce> TopicConsumer for Reproducer<T> {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        self.0.reproduce(record, cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_topic_then_settings() {
        let source = |namespace, name| ReproducedSource { type_name: "", template: "", namespace, name };
        let table = SourceName::Table(|| "shop.orders".to_owned());
        assert_eq!(source(None, table).topic(None), "shop.orders");
        assert_eq!(source(None, table).topic(Some("dbz")), "dbz.shop.orders");
        assert_eq!(source(Some("${prefix}"), SourceName::Said("raw")).topic(Some("dbz")), "${prefix}.raw");
    }
}
