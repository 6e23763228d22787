//! What a handler can do besides reading its message.

/// A handler's access to the rest: producing, the database, the application's state. Cheap to clone.
#[cfg(feature = "client")]
pub use self::client::{Context, States};

/// A handler's access to the rest. This build is without the feature `client`: nothing runs handlers.
#[cfg(not(feature = "client"))]
#[derive(Debug)]
#[non_exhaustive]
pub struct Context {}

#[cfg(feature = "client")]
mod client {
    use std::any::{Any, TypeId};
    use std::collections::HashMap;
    use std::ops::Deref;
    use std::sync::{Arc, Mutex, PoisonError};

    use crate::consumer::fence::Permit;
    use crate::db::joined::Joined;
    use crate::db::{Database, DatabaseError, DbConn, failure};
    use crate::error::ConsumeError;
    use crate::producer::{Kafka, Suppression};

    /// The application's state, by type.
    #[derive(Default, Clone)]
    pub struct States(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

    impl States {
        /// Sets the state of type `T`.
        pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, state: T) {
            self.0.insert(TypeId::of::<T>(), Arc::new(state));
        }
    }

    impl std::fmt::Debug for States {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("States").field("len", &self.0.len()).finish()
        }
    }

    /// A handler's access to the rest: producing (it has [`Kafka`]'s methods), the database, the application's state.
    /// Cheap to clone.
    #[derive(Debug, Clone)]
    pub struct Context {
        inner: Arc<Inner>,
        /// The batch's right to commit.
        permit: Option<Permit>,
        /// Why the database could not be used, since this was asked last.
        outage: Arc<Mutex<Option<String>>>,
        /// The message's transaction, where offsets are in the database.
        joined: Option<Joined>,
    }

    #[derive(Debug)]
    struct Inner {
        kafka: Kafka,
        database: Option<Database>,
        states: States,
    }

    impl Context {
        pub(crate) fn new(kafka: Kafka, database: Option<Database>, states: States) -> Self {
            Self {
                inner: Arc::new(Inner { kafka, database, states }),
                permit: None,
                outage: Arc::default(),
                joined: None,
            }
        }

        /// The same for one batch.
        pub(crate) fn with_permit(&self, permit: Permit) -> Self {
            Self { permit: Some(permit), outage: Arc::default(), ..self.clone() }
        }

        /// The same for one message, whose work in the database is one transaction.
        pub(crate) fn with_joined(&self, joined: Joined) -> Self {
            Self { joined: Some(joined), ..self.clone() }
        }

        /// Whether the batch may still commit: its partition is still this process's.
        pub(crate) fn may_commit(&self) -> bool {
            self.permit.as_ref().is_none_or(Permit::is_valid)
        }

        /// Why the database could not be used since this was asked last, whatever the handler made of it.
        pub(crate) fn take_outage(&self) -> Option<String> {
            self.outage.lock().unwrap_or_else(PoisonError::into_inner).take()
        }

        /// The schemas that a message's key and value are read by, where its topic has Avro, or may have.
        ///
        /// # Errors
        /// The registry is away: the message has to wait.
        #[cfg(feature = "avro")]
        pub(crate) async fn schemas_of(
            &self,
            topic: &crate::topic::TopicDeclaration,
            message: &crate::record::RawRecord,
        ) -> Result<crate::topic::Schemas, ConsumeError> {
            match self.inner.kafka.schema_registry() {
                Some(registry) if topic.may_name_schemas() => registry.of_message(topic, message).await,
                _ => Ok(crate::topic::Schemas::default()),
            }
        }

        pub(crate) fn database(&self) -> Option<&Database> {
            self.inner.database.as_ref()
        }

        /// Runs `work` in a transaction, on a thread where blocking is allowed. An error rolls back. What is
        /// [suppressed](crate::producer::suppress) here is suppressed there too.
        ///
        /// Where the consumer keeps its offsets in the database (`offsets = "database"`), all work of one message is one
        /// transaction: it begins with the first call, and is committed with the message's offset once the handler has
        /// returned `Ok`. An error undoes the call's own work alone; `Err` from the handler undoes all.
        ///
        /// Where the database is away or locked, a handler that fails is called again later, and no attempt is
        /// counted, whatever error it makes of it.
        ///
        /// # Errors
        /// What `work` returns, or that there is no database, or that it cannot be reached.
        pub async fn db<T, E, F>(&self, work: F) -> Result<T, ConsumeError>
        where
            F: FnOnce(&mut DbConn) -> Result<T, E> + Send + 'static,
            E: Into<ConsumeError> + 'static,
            T: Send + 'static,
        {
            let database = self
                .database()
                .cloned()
                .ok_or("there is no database: set `database_url` in the settings, or DJANGO_KAFKA__DATABASE_URL")?;
            let cx = self.clone();
            let mut slot = match &self.joined {
                Some(joined) => Some(joined.lock().await),
                None => None,
            };
            let transaction = move || {
                let work = |conn: &mut DbConn| work(conn).map_err(|error| Fault::of_work(error.into()));
                if let Some(slot) = &mut slot {
                    return slot.run(&database, work);
                }
                database.write_transaction(|conn| {
                    let done = work(conn)?;
                    // The last moment before the commit.
                    if cx.may_commit() {
                        Ok(done)
                    } else {
                        Err(Fault::own("the partition is no longer this process's"))
                    }
                })
            };
            let suppression = Suppression::current();
            match tokio::task::spawn_blocking(move || suppression.sync_scope(transaction)).await {
                Ok(Ok(done)) => Ok(done),
                Ok(Err(Fault { error, outage })) => {
                    if outage.is_some() {
                        *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = outage;
                    }
                    Err(error)
                }
                Err(error) => match error.try_into_panic() {
                    // The handler's own panic, from its own thread: let it fail the message there.
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(error) => Err(error.into()),
                },
            }
        }

        /// As [`db`](Self::db), where the database is known to be PostgreSQL.
        ///
        /// # Errors
        /// As [`db`](Self::db), or that the database is another one.
        #[cfg(feature = "postgres")]
        pub async fn pg<T, E, F>(&self, work: F) -> Result<T, ConsumeError>
        where
            F: FnOnce(&mut diesel::PgConnection) -> Result<T, E> + Send + 'static,
            E: Into<ConsumeError> + 'static,
            T: Send + 'static,
        {
            self.db(move |conn| match conn {
                DbConn::Pg(conn) => work(conn).map_err(Into::<ConsumeError>::into),
                #[cfg(feature = "sqlite")]
                DbConn::Sqlite(_) => Err("`pg` was called, and `database_url` names an SQLite database".into()),
            })
            .await
        }

        /// As [`db`](Self::db), where the database is known to be SQLite.
        ///
        /// # Errors
        /// As [`db`](Self::db), or that the database is another one.
        #[cfg(feature = "sqlite")]
        pub async fn sqlite<T, E, F>(&self, work: F) -> Result<T, ConsumeError>
        where
            F: FnOnce(&mut diesel::SqliteConnection) -> Result<T, E> + Send + 'static,
            E: Into<ConsumeError> + 'static,
            T: Send + 'static,
        {
            self.db(move |conn| match conn {
                DbConn::Sqlite(conn) => work(conn).map_err(Into::<ConsumeError>::into),
                #[cfg(feature = "postgres")]
                DbConn::Pg(_) => Err("`sqlite` was called, and `database_url` names a PostgreSQL database".into()),
            })
            .await
        }

        /// The application's state of type `T`, given by `App::state`.
        ///
        /// # Panics
        /// None was given. In a handler that fails the message, with this text.
        #[must_use]
        pub fn state<T: Send + Sync + 'static>(&self) -> &T {
            #[expect(clippy::panic, reason = "a program that asks for what it never gave; documented")]
            match self.inner.states.0.get(&TypeId::of::<T>()).and_then(|state| state.downcast_ref()) {
                Some(state) => state,
                None => panic!(
                    "there is no state of type `{0}`; give it to the application: `App::from_linked().state({0} {{ … }})`",
                    std::any::type_name::<T>()
                ),
            }
        }
    }

    /// Why a handler's transaction failed.
    struct Fault {
        error: ConsumeError,
        /// The database cannot be used, and why.
        outage: Option<String>,
    }

    impl Fault {
        fn own(error: impl Into<ConsumeError>) -> Self {
            Self { error: error.into(), outage: None }
        }

        /// The user's error: judged by the database error in it, where there is one.
        fn of_work(error: ConsumeError) -> Self {
            let mut cause = Some(error.error());
            while let Some(found) = cause {
                if let Some(database) = found.downcast_ref::<diesel::result::Error>() {
                    let outage = failure::classify(database).outage(database);
                    return Self { error, outage };
                }
                cause = found.source();
            }
            Self::own(error)
        }
    }

    impl From<DatabaseError> for Fault {
        fn from(error: DatabaseError) -> Self {
            let outage = match &error {
                DatabaseError::Unavailable(reason) => Some(reason.clone()),
                DatabaseError::Query(query) => failure::classify(query).outage(query),
                DatabaseError::Settings(_) => None,
            };
            Self { error: error.into(), outage }
        }
    }

    impl From<diesel::result::Error> for Fault {
        fn from(error: diesel::result::Error) -> Self {
            DatabaseError::Query(error).into()
        }
    }

    impl Deref for Context {
        type Target = Kafka;

        fn deref(&self) -> &Kafka {
            &self.inner.kafka
        }
    }
}
