//! Every word that users write in our attributes, once; and which words each attribute takes, with the form that
//! error messages show.

/// One option of an attribute.
#[derive(Debug)]
pub(crate) struct Word {
    /// As written.
    pub(crate) name: &'static str,
    /// The whole option as users write it, for `= help:` lines.
    pub(crate) example: &'static str,
}

/// The options of an attribute.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// The attribute as messages name it: "`#[topic(…)]`".
    pub(crate) title: &'static str,
    /// The option that a bare value was probably meant for: `#[topic("orders")]`.
    pub(crate) first: &'static str,
    /// The options in the order in which the documentation lists them.
    pub(crate) words: &'static [Word],
}

impl Vocabulary {
    pub(crate) fn word(&self, name: &str) -> Option<&'static Word> {
        self.words.iter().find(|word| word.name == name)
    }

    /// Another attribute that has this option.
    pub(crate) fn elsewhere(&self, name: &str) -> Option<&'static Vocabulary> {
        ALL.iter().copied().find(|other| other.title != self.title && other.word(name).is_some())
    }
}

const fn word(name: &'static str, example: &'static str) -> Word {
    Word { name, example }
}

// Attributes.
pub(crate) const SYNC_ATTRIBUTE: &str = "sync";
pub(crate) const REROUTE_ATTRIBUTE: &str = "reroute";
pub(crate) const DIESEL_ATTRIBUTE: &str = "diesel";
pub(crate) const KAFKA_SKIP_ATTRIBUTE: &str = "kafka_skip";
pub(crate) const REPRODUCE_ATTRIBUTE: &str = "reproduce";
pub(crate) const DERIVE_ATTRIBUTE: &str = "derive";

// Derives that make a struct something else than a topic with a handler of its own.
pub(crate) const SYNC_MODEL: &str = "SyncModel";
pub(crate) const MODEL_TOPIC_CONSUMER: &str = "ModelTopicConsumer";
pub(crate) const DBZ_CONSUMER: &str = "DbzConsumer";

/// Of a public topic, which is a topic like any other beside.
pub(crate) const TOPIC_REPRODUCER: &str = "TopicReproducer";

// Beside any of them.
pub(crate) const KAFKA_CONNECT_SKIP: &str = "KafkaConnectSkip";
/// The column that marks rows for source connectors.
pub(crate) const KAFKA_SKIP: &str = "kafka_skip";

// In every macro.
pub(crate) const CRATE: &str = "crate";
const CRATE_EXAMPLE: &str = "crate = my_facade::django_kafka_rs";

// `#[topic(…)]`.
pub(crate) const NAME: &str = "name";
pub(crate) const KEY: &str = "key";
pub(crate) const VALUE: &str = "value";
pub(crate) const FORMAT: &str = "format";
pub(crate) const KEY_FORMAT: &str = "key_format";
pub(crate) const VALUE_FORMAT: &str = "value_format";
pub(crate) const KEY_SCHEMA: &str = "key_schema";
pub(crate) const VALUE_SCHEMA: &str = "value_schema";
pub(crate) const RETRY: &str = "retry";
pub(crate) const REGISTER: &str = "register";

// Formats.
pub(crate) const STRING: &str = "string";
pub(crate) const BYTES: &str = "bytes";
pub(crate) const JSON: &str = "json";
pub(crate) const AVRO: &str = "avro";

// `retry(…)`.
pub(crate) const MAX_RETRIES: &str = "max_retries";
pub(crate) const DELAY: &str = "delay";
pub(crate) const MAX_DELAY: &str = "max_delay";
pub(crate) const BACKOFF: &str = "backoff";
pub(crate) const JITTER: &str = "jitter";
pub(crate) const INCLUDE: &str = "include";
pub(crate) const EXCLUDE: &str = "exclude";
pub(crate) const INCLUDE_IF: &str = "include_if";
pub(crate) const BLOCKING: &str = "blocking";
pub(crate) const LOG_EVERY: &str = "log_every";
pub(crate) const USE_OFFSET_TRACKER: &str = "use_offset_tracker";

// `#[consumer(…)]`.
pub(crate) const GROUP: &str = "group";
pub(crate) const TOPICS: &str = "topics";
pub(crate) const CONFIG: &str = "config";
pub(crate) const BATCH: &str = "batch";
pub(crate) const WORKERS: &str = "workers";
pub(crate) const OFFSETS: &str = "offsets";
pub(crate) const SUPPRESS: &str = "suppress";
pub(crate) const ORDER_BY: &str = "order_by";
pub(crate) const KAFKA: &str = "kafka";
pub(crate) const DATABASE: &str = "database";

// `#[connector(…)]`.
pub(crate) const MARK_FOR_REMOVAL: &str = "mark_for_removal";

// Values of `config(…)`.
pub(crate) const ENV: &str = "env";
pub(crate) const SETTING: &str = "setting";

// `batch(…)`.
pub(crate) const MAX: &str = "max";
pub(crate) const LINGER: &str = "linger";

// `#[sync(…)]` on a struct.
pub(crate) const LOOKUP: &str = "lookup";
pub(crate) const LOOKUP_WITH: &str = "lookup_with";
pub(crate) const IS_DELETION: &str = "is_deletion";
pub(crate) const DELETED_FIELD: &str = "deleted_field";
pub(crate) const RELATIONS: &str = "relations";
pub(crate) const RELATIONS_WITH: &str = "relations_with";
pub(crate) const MODEL: &str = "model";
pub(crate) const GUARD: &str = "guard";
pub(crate) const REDUCE: &str = "reduce";
pub(crate) const ENVELOPE: &str = "envelope";
pub(crate) const AFTER: &str = "after";

// `#[reproduce(…)]`.
pub(crate) const NAMESPACE: &str = "namespace";

// `#[sync(…)]` on a field.
pub(crate) const FROM: &str = "from";
pub(crate) const WITH: &str = "with";
pub(crate) const COMPUTE: &str = "compute";
pub(crate) const SKIP: &str = "skip";
pub(crate) const RELATION: &str = "relation";
pub(crate) const AS: &str = "as";
pub(crate) const DEFAULT: &str = "default";

/// `#[topic(…)]`.
pub(crate) static TOPIC: Vocabulary = Vocabulary {
    title: "`#[topic(…)]`",
    first: NAME,
    words: &[
        word(NAME, "name = \"orders\""),
        word(KEY, "key = String"),
        word(VALUE, "value = OrderPlaced"),
        word(FORMAT, "format = json"),
        word(KEY_FORMAT, "key_format = string"),
        word(VALUE_FORMAT, "value_format = json"),
        word(KEY_SCHEMA, "key_schema = \"key.avsc\""),
        word(VALUE_SCHEMA, "value_schema = \"value.avsc\""),
        word(RETRY, "retry(max_retries = 5, delay = \"2s\", backoff)"),
        word(REGISTER, "register = false"),
        word(CRATE, CRATE_EXAMPLE),
    ],
};

/// `retry(…)` in `#[topic]`.
pub(crate) static RETRY_OPTIONS: Vocabulary = Vocabulary {
    title: "`retry(…)`",
    first: MAX_RETRIES,
    words: &[
        word(MAX_RETRIES, "max_retries = 5"),
        word(DELAY, "delay = \"2s\""),
        word(MAX_DELAY, "max_delay = \"10m\""),
        word(BACKOFF, "backoff"),
        word(JITTER, "jitter"),
        word(INCLUDE, "include(std::io::Error)"),
        word(EXCLUDE, "exclude(std::io::Error)"),
        word(INCLUDE_IF, "include_if = is_transient"),
        word(BLOCKING, "blocking = false"),
        word(LOG_EVERY, "log_every = 10"),
        word(USE_OFFSET_TRACKER, "use_offset_tracker"),
    ],
};

/// `#[consumer(…)]`.
pub(crate) static CONSUMER: Vocabulary = Vocabulary {
    title: "`#[consumer(…)]`",
    first: GROUP,
    words: &[
        word(GROUP, "group = \"crm\""),
        word(TOPICS, "topics(Customer, Order)"),
        word(CONFIG, "config(\"auto.offset.reset\" = \"earliest\")"),
        word(BATCH, "batch(max = 2000, linger = \"5ms\")"),
        word(WORKERS, "workers = 4"),
        word(OFFSETS, "offsets = \"kafka\""),
        word(SUPPRESS, "suppress(\"orders\")"),
        word(ORDER_BY, "order_by = key"),
        word(CRATE, CRATE_EXAMPLE),
    ],
};

/// `batch(…)` in `#[consumer]`.
pub(crate) static BATCH_OPTIONS: Vocabulary = Vocabulary {
    title: "`batch(…)`",
    first: MAX,
    words: &[word(MAX, "max = 2000"), word(BYTES, "bytes = 4000000"), word(LINGER, "linger = \"5ms\"")],
};

/// `#[connector(…)]`.
pub(crate) static CONNECTOR: Vocabulary = Vocabulary {
    title: "`#[connector(…)]`",
    first: CONFIG,
    words: &[
        word(CONFIG, "config(\"connector.class\" = \"io.debezium.connector.postgresql.PostgresConnector\")"),
        word(NAME, "name = \"crm-source\""),
        word(MARK_FOR_REMOVAL, "mark_for_removal"),
        word(CRATE, CRATE_EXAMPLE),
    ],
};

/// `#[sync(…)]` on a struct.
pub(crate) static SYNC: Vocabulary = Vocabulary {
    title: "`#[sync(…)]` on a struct",
    first: LOOKUP,
    words: &[
        word(EXCLUDE, "exclude(password_hash)"),
        word(LOOKUP, "lookup(email)"),
        word(LOOKUP_WITH, "lookup_with = find_row"),
        word(IS_DELETION, "is_deletion = is_deletion"),
        word(DELETED_FIELD, "deleted_field = \"__deleted\""),
        word(RELATIONS, "relations(auto)"),
        word(RELATIONS_WITH, "relations_with = relations_of"),
        word(MODEL, "model = Customer"),
        word(GUARD, "guard(off)"),
        word(REDUCE, "reduce(off)"),
        word(ENVELOPE, "envelope = flat"),
        word(AFTER, "after = notify"),
        word(CRATE, CRATE_EXAMPLE),
    ],
};

/// `#[sync(…)]` on a field.
pub(crate) static SYNC_FIELD: Vocabulary = Vocabulary {
    title: "`#[sync(…)]` on a field",
    first: FROM,
    words: &[
        word(FROM, "from = \"message_field\""),
        word(WITH, "with = shout"),
        word(COMPUTE, "compute = total_of"),
        word(SKIP, "skip"),
        word(RELATION, "relation(Customer)"),
        word(AS, "as = dbz::Timestamp"),
        word(DEFAULT, "default"),
    ],
};

/// `#[kafka_skip(…)]`.
pub(crate) static KAFKA_SKIP_OPTIONS: Vocabulary =
    Vocabulary { title: "`#[kafka_skip(…)]`", first: CRATE, words: &[word(CRATE, CRATE_EXAMPLE)] };

/// `#[reproduce(…)]`.
pub(crate) static REPRODUCE: Vocabulary = Vocabulary {
    title: "`#[reproduce(…)]`",
    first: MODEL,
    words: &[
        word(MODEL, "model = Order"),
        word(NAMESPACE, "namespace = \"${prefix}.public\""),
        word(NAME, "name = \"raw_orders\""),
        word(CRATE, CRATE_EXAMPLE),
    ],
};

/// All of them, to find where a misplaced option belongs. Attributes of the same item first.
static ALL: &[&Vocabulary] = &[&TOPIC, &RETRY_OPTIONS, &CONSUMER, &BATCH_OPTIONS, &CONNECTOR, &SYNC, &SYNC_FIELD];
