//! What is known of a registry's schemas, and how they are come by.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use super::client::{Client, Registered, Requests};
use super::{Part, SchemaError};
use crate::error::{ConsumeError, RegistryAway};
use crate::format::avro::{Plain, Schema, join, names_schema, split_part};
use crate::meters::Meters;
use crate::record::RawRecord;
use crate::settings::SchemaRegistrySettings;
use crate::topic::{PartSchema, SchemaSource, Schemas, TopicDeclaration, Wire};

/// The registry of a program. Cheap to clone; all clones share what they have learnt.
#[derive(Clone)]
pub(crate) struct SchemaRegistry(Arc<Inner>);

struct Inner {
    client: Client,
    auto_register: bool,
    use_latest: bool,
    /// For those who ask from a blocking thread.
    runtime: Option<tokio::runtime::Handle>,
    writers: Cache<u32, Arc<Schema>>,
    /// How a writer's messages are read by a declared schema. Whether they can be is for ever, too.
    readers: Cache<(u32, Declared), Result<Arc<Schema>, Arc<str>>>,
    writable: Cache<(String, Option<Declared>), Arc<Writable>>,
    /// One question at a time: a batch of a new schema is one request, however many partitions it comes from.
    asking: tokio::sync::Mutex<()>,
}

/// A declared schema's text, known by where it is: it is a constant of the program.
#[derive(Debug, Clone, Copy)]
struct Declared(&'static str);

impl PartialEq for Declared {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0) || self.0 == other.0
    }
}

impl Eq for Declared {}

impl Hash for Declared {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // Enough to tell one program's schemas apart, and quick.
        self.0.len().hash(state);
    }
}

/// A schema that messages of a subject are written with.
struct Writable {
    id: u32,
    schema: Schema,
}

impl SchemaRegistry {
    /// The registry that the settings name; nothing is asked yet. `None`: they name none.
    ///
    /// # Errors
    /// An address or a certificate cannot be used.
    pub(crate) fn of_settings(settings: &SchemaRegistrySettings) -> Result<Option<Self>, String> {
        if settings.urls.is_empty() {
            return Ok(None);
        }
        let client = Client::new(settings).map_err(|why| format!("`schema_registry`: {why}"))?;
        Ok(Some(Self(Arc::new(Inner {
            client,
            auto_register: settings.auto_register_schemas,
            use_latest: settings.use_latest_version,
            runtime: tokio::runtime::Handle::try_current().ok(),
            writers: Cache::default(),
            readers: Cache::default(),
            writable: Cache::default(),
            asking: tokio::sync::Mutex::new(()),
        }))))
    }

    /// Counts requests from now on.
    pub(crate) fn counting(&self, meters: &Meters) {
        self.0.client.counting(Requests::new(meters));
    }

    /// Its addresses, without credentials.
    pub(crate) fn address(&self) -> &str {
        self.0.client.address()
    }

    /// How messages with this id are read, by the declared schema where there is one.
    pub(crate) async fn reading(&self, id: u32, declared: Option<&'static str>) -> Result<Arc<Schema>, SchemaError> {
        match self.known(id, declared) {
            Some(known) => known,
            // Asking is rare, and large: it is kept out of the future of everybody who reads or produces.
            None => Box::pin(self.ask_for_reading(id, declared)).await,
        }
    }

    async fn ask_for_reading(&self, id: u32, declared: Option<&'static str>) -> Result<Arc<Schema>, SchemaError> {
        let _asking = self.0.asking.lock().await;
        if let Some(known) = self.known(id, declared) {
            return known;
        }
        let writer = match self.0.writers.get(&id) {
            Some(writer) => writer,
            None => {
                let Registered { text, references, .. } = self.0.client.by_id(id).await?;
                let writer = Schema::parse(&text, &references);
                let writer = writer.map_err(|why| {
                    SchemaError::Wrong(format!("the schema {id} of {} cannot be read: {why}", self.address()))
                })?;
                self.0.writers.insert(id, Arc::new(writer))
            }
        };
        let Some(declared) = declared else { return Ok(writer) };
        let resolved = Schema::parse(declared, &[]).and_then(|reader| Schema::resolve(&writer, &reader));
        let resolved = resolved.map(Arc::new).map_err(|why| {
            Arc::from(format!("messages written with the schema {id} cannot be read by the topic's schema: {why}"))
        });
        self.0.readers.insert((id, Declared(declared)), resolved).map_err(|why| wrong(&why))
    }

    /// The same from a thread where blocking is allowed.
    pub(crate) fn reading_blocking(&self, id: u32, declared: Option<&'static str>) -> Result<Arc<Schema>, SchemaError> {
        match (self.known(id, declared), &self.0.runtime) {
            (Some(known), _) => known,
            (None, Some(runtime)) => runtime.block_on(self.reading(id, declared)),
            (None, None) => Err(SchemaError::Away("the schema registry was opened outside of a runtime".to_owned())),
        }
    }

    fn known(&self, id: u32, declared: Option<&'static str>) -> Option<Result<Arc<Schema>, SchemaError>> {
        match declared {
            None => self.0.writers.get(&id).map(Ok),
            Some(text) => self.0.readers.get(&(id, Declared(text))).map(|known| known.map_err(|why| wrong(&why))),
        }
    }

    /// The schemas that a message's key and value are read by.
    ///
    /// # Errors
    /// The registry is away. What is the message's own fault is in the schemas.
    pub(crate) async fn of_message(
        &self,
        topic: &TopicDeclaration,
        message: &RawRecord,
    ) -> Result<Schemas, ConsumeError> {
        Ok(Schemas {
            key: self.of_part(topic.key_wire, Part::Key, message).await?,
            value: self.of_part(topic.value_wire, Part::Value, message).await?,
        })
    }

    async fn of_part(&self, wire: Wire, part: Part, message: &RawRecord) -> Result<PartSchema, ConsumeError> {
        let bytes = match part {
            Part::Key => message.key.as_deref(),
            Part::Value => message.value.as_deref(),
        };
        let Some(bytes) = bytes else { return Ok(PartSchema::default()) };
        let declared = match wire {
            Wire::Avro(declared) => declared,
            Wire::Detected if names_schema(bytes) => None,
            Wire::Own | Wire::Detected => return Ok(PartSchema::default()),
        };
        let schema = match split_part(part.word(), bytes, &message.headers) {
            Ok((id, _)) => self.reading(id, declared).await,
            Err(error) => Err(SchemaError::Wrong(error.to_string())),
        };
        Ok(PartSchema(Some(match schema {
            Ok(schema) => Ok(schema),
            Err(SchemaError::Wrong(why)) => Err(why.into()),
            Err(SchemaError::Away(why)) => return Err(RegistryAway(why).into()),
        })))
    }

    /// Writes a key or value for a topic, with its schema's id.
    pub(crate) async fn write(
        &self,
        topic: &str,
        part: Part,
        value: &Plain,
        declared: Option<&'static str>,
    ) -> Result<Vec<u8>, SchemaError> {
        let subject = part.subject(topic);
        let writable = self.writable(subject, declared).await?;
        let avro = writable.schema.write(value).map_err(|why| {
            SchemaError::Wrong(format!(
                "it does not fit the schema {} of `{}`: {why}",
                writable.id,
                part.subject(topic)
            ))
        })?;
        Ok(join(writable.id, &avro))
    }

    async fn writable(&self, subject: String, declared: Option<&'static str>) -> Result<Arc<Writable>, SchemaError> {
        // The latest is the subject's, whoever declares what.
        let declared = declared.filter(|_| !self.0.use_latest);
        let key = (subject, declared.map(Declared));
        match self.0.writable.get(&key) {
            Some(known) => Ok(known),
            // As with reading.
            None => Box::pin(self.ask_for_writable(key)).await,
        }
    }

    async fn ask_for_writable(&self, key: (String, Option<Declared>)) -> Result<Arc<Writable>, SchemaError> {
        let _asking = self.0.asking.lock().await;
        if let Some(known) = self.0.writable.get(&key) {
            return Ok(known);
        }
        let (client, subject) = (&self.0.client, key.0.as_str());
        let Registered { id, text, references } = match key.1 {
            None => client.latest(subject).await?,
            Some(Declared(text)) => {
                let id = if self.0.auto_register {
                    client.register(subject, text).await?
                } else {
                    client.find(subject, text).await?
                };
                Registered { id, text: text.to_owned(), references: Vec::new() }
            }
        };
        let schema = Schema::parse(&text, &references);
        let schema = schema
            .map_err(|why| SchemaError::Wrong(format!("the schema {id} of `{subject}` cannot be read: {why}")))?;
        Ok(self.0.writable.insert(key, Arc::new(Writable { id, schema })))
    }

    /// Whether the registry takes what a topic declares: what it would refuse when the first message is produced.
    ///
    /// # Errors
    /// It would not, or it does not answer.
    pub(crate) async fn check(&self, topic: &str, declaration: &TopicDeclaration) -> Result<(), SchemaError> {
        for (part, wire) in [(Part::Key, declaration.key_wire), (Part::Value, declaration.value_wire)] {
            let Wire::Avro(Some(text)) = wire else { continue };
            let subject = part.subject(topic);
            if self.0.client.is_compatible(&subject, text).await? == Some(false) {
                return Err(SchemaError::Wrong(format!(
                    "the declared schema is not compatible with the latest of `{subject}` in the schema registry"
                )));
            }
        }
        Ok(())
    }

    /// Asks for anything, to see whether the registry answers.
    ///
    /// # Errors
    /// It does not.
    pub(crate) async fn reach(&self) -> Result<(), SchemaError> {
        match self.0.client.latest("django-kafka-rs-check").await {
            Err(SchemaError::Away(why)) => Err(SchemaError::Away(why)),
            Ok(_) | Err(SchemaError::Wrong(_)) => Ok(()),
        }
    }
}

impl std::fmt::Debug for SchemaRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SchemaRegistry").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl SchemaSource for SchemaRegistry {
    fn reading(&self, id: u32, declared: Option<&'static str>) -> Result<Arc<Schema>, ConsumeError> {
        self.reading_blocking(id, declared).map_err(Into::into)
    }
}

fn wrong(why: &Arc<str>) -> SchemaError {
    SchemaError::Wrong(why.to_string())
}

/// What was learnt, for ever: as much as the registry has, and no more.
struct Cache<K, V>(RwLock<HashMap<K, V>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        // A poisoned lock is used as it is: entries are whole before they are inserted.
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Gives what is kept: the first that came.
    fn insert(&self, key: K, value: V) -> V {
        self.0.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(value).clone()
    }
}
