//! What the key offset tracker needs of a started application.

use std::sync::Arc;

use super::StartError;
use super::client_config::consumer_config;
use super::services::Services;
use crate::db::{Database, DatabaseError};
use crate::key_offset_tracker::{Tracker, Watermarks};
use crate::registry::{ResolvedConsumer, ResolvedTopic};

/// Makes what asks the tracker's table, once, when a topic needs it.
pub(super) struct Tracking<'s> {
    services: &'s Services,
    database: Option<&'s Database>,
    /// A pool of its own with one connection; `None`: not needed so far.
    own: Option<Database>,
}

impl<'s> Tracking<'s> {
    pub(super) fn new(services: &'s Services, database: Option<&'s Database>) -> Self {
        Self { services, database, own: None }
    }

    /// What tells a topic's superseded messages; `None` where its retry settings do not ask for it.
    ///
    /// # Errors
    /// There is no database, or not the tracker's table.
    pub(super) fn of_topic(
        &mut self,
        consumer: &ResolvedConsumer,
        topic: &ResolvedTopic,
    ) -> Result<Option<Tracker>, StartError> {
        if !topic.retry.is_some_and(|retry| retry.use_offset_tracker) {
            return Ok(None);
        }
        let database = self.database()?;
        Ok(Some(Tracker::new(database, self.watermarks(consumer)?)))
    }

    /// What asks where partitions end, as this consumer.
    pub(super) fn watermarks(&self, consumer: &ResolvedConsumer) -> Result<Arc<Watermarks>, StartError> {
        let config = consumer_config(consumer, false, false, &self.services.settings, false)?;
        Ok(Arc::new(Watermarks::new(config)))
    }

    fn database(&mut self) -> Result<Database, StartError> {
        if let Some(own) = &self.own {
            return Ok(own.clone());
        }
        let Some(database) = self.database else { return Err(no_database()) };
        Tracker::look(database).map_err(|error| match error {
            DatabaseError::Query(error) => StartError::Database(format!(
                "the key offset tracker's table `django_kafka_key_offset_tracker` cannot be read: {error}; run `migrate`"
            )),
            error => StartError::Database(error.to_string()),
        })?;
        let own = self.services.open_database_of(1)?.ok_or_else(no_database)?;
        self.own = Some(own.clone());
        Ok(own)
    }
}

fn no_database() -> StartError {
    StartError::Database(
        "retries use the key offset tracker (`use_offset_tracker`), which keeps its offsets in a database, and none is \
         named: set `database_url` in the settings, or DJANGO_KAFKA__DATABASE_URL"
            .to_owned(),
    )
}
