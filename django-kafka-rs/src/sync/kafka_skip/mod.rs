//! `kafka_skip`: marks rows whose change a source connector is not to tell of.
//!
//! A table that is kept in step from a topic, and is itself the source of one, would answer each message with an event
//! of its own. So every row that a sync writes carries `kafka_skip = true`, and the connector filters such rows. A mark
//! counts for one write only: whoever writes next says false again, unless it is marked anew. Diesel has no hook for
//! that, so models get functions that do it: [`KafkaConnectSkip`].

mod changes;
mod delete;
mod save;
#[cfg(feature = "postgres")]
mod trigger;
mod value;

pub use self::changes::{Marked, Renders, WithMark};
pub use self::delete::{DeleteRows, SetMark};
pub use self::save::{SaveConnection, SavedColumn, SavedRow};
pub use self::value::KafkaSkip;

use diesel::associations::HasTable;
use diesel::prelude::*;
use diesel::query_builder::{AsChangeset, AsQuery, IntoUpdateTarget, UpdateStatement};

/// The column's name, which connectors' filters go by.
pub(crate) const COLUMN: &str = "kafka_skip";

/// A Diesel model with a column `kafka_skip`. Derived: `#[derive(KafkaConnectSkip)]` on a model with a field
/// `kafka_skip: KafkaSkip`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not mark its rows for connectors",
    note = "derive it: `#[derive(KafkaConnectSkip)]`, on a model with a field `kafka_skip: KafkaSkip`"
)]
pub trait KafkaConnectSkip: SavedRow + Sized {
    /// The model's table.
    type Table: Table + HasTable<Table = Self::Table>;

    /// Writes the row: updates it by its primary key, or inserts it where it is not there. Every field is written, a
    /// `None` as NULL.
    ///
    /// `kafka_skip` goes out as false, so that a connector tells of the change; as true where it was set so since the
    /// row was loaded, or where all topics are [suppressed](crate::producer::suppress_all). After that the mark is
    /// taken back.
    ///
    /// # Errors
    /// The database's. The mark stays as it was.
    fn save<C: SaveConnection>(&mut self, conn: &mut C) -> QueryResult<()> {
        conn.save(self)?;
        self.__kafka_skip().written();
        Ok(())
    }

    /// `diesel::update(target).set(changes)`, which sets `kafka_skip` too, unless the changes do: to false, so that a
    /// connector tells of the change, or to true where all topics are suppressed. Without any changes it fails, as
    /// Diesel's own does.
    ///
    /// ```
    /// # use django_kafka_rs::prelude::*;
    /// # diesel::table! { customers (id) { id -> BigInt, name -> Text, kafka_skip -> Bool, } }
    /// # #[derive(KafkaConnectSkip)]
    /// # struct Customer { id: i64, name: String, kafka_skip: KafkaSkip }
    /// # #[cfg(feature = "postgres")]
    /// # fn change(conn: &mut PgConnection) -> QueryResult<()> {
    /// Customer::update_rows(customers::table.find(1), customers::name.eq("Ann")).execute(conn)?;
    /// # Ok(())
    /// # }
    /// # fn main() {}
    /// ```
    fn update_rows<T, V>(target: T, changes: V) -> UpdateStatement<Self::Table, T::WhereClause, Marked<V::Changeset>>
    where
        T: IntoUpdateTarget<Table = Self::Table>,
        V: AsChangeset<Target = Self::Table>,
        UpdateStatement<Self::Table, T::WhereClause, Marked<V::Changeset>>: AsQuery,
    {
        diesel::update(target).set(WithMark::new(changes))
    }

    /// `diesel::delete(target)`, which marks the rows first: a connector that sees what a deleted row was
    /// (`REPLICA IDENTITY FULL`) can filter the deletion. [`emitted`](DeleteRows::emitted) takes the mark off instead.
    ///
    /// ```
    /// # use django_kafka_rs::prelude::*;
    /// # diesel::table! { customers (id) { id -> BigInt, name -> Text, kafka_skip -> Bool, } }
    /// # #[derive(KafkaConnectSkip)]
    /// # struct Customer { id: i64, name: String, kafka_skip: KafkaSkip }
    /// # #[cfg(feature = "postgres")]
    /// # fn change(conn: &mut PgConnection) -> QueryResult<()> {
    /// Customer::delete_rows(customers::table.find(1)).execute(conn)?;            // nobody is told
    /// Customer::delete_rows(customers::table.find(1)).emitted().execute(conn)?;  // everybody is told
    /// # Ok(())
    /// # }
    /// # fn main() {}
    /// ```
    fn delete_rows<T>(target: T) -> DeleteRows<T>
    where
        T: IntoUpdateTarget<Table = Self::Table> + Clone,
    {
        DeleteRows::new(target)
    }

    /// SQL for a migration on PostgreSQL: a trigger that sets `kafka_skip` to false on each update that does not set it,
    /// for writers which do not go through these functions. May be run again.
    #[cfg(feature = "postgres")]
    #[must_use]
    fn kafka_skip_trigger() -> String {
        trigger::sql(&Self::__table())
    }
}
