//! The encodings that `#[sync(as = dbz::…)]` names, called as Debezium calls its semantic types.
//!
//! A field needs one where its type alone does not tell how Debezium writes it: a timestamp may be counted in
//! milliseconds, microseconds or nanoseconds, and a decimal in JSON carries no scale. Where the message has a schema
//! (JSON with `schemas.enable`), fields without `as` follow it; what `as` names is never overridden.
//!
//! With `time.precision.mode = connect` and without schemas, all timestamps and times are counted in milliseconds, and
//! nothing in the message says so: name [`Timestamp`] and [`Time`].

pub use super::encoding::Serde as AsIs;

/// Days since 1970: a `NaiveDate`, by default.
#[derive(Debug)]
pub struct Date;

/// A date as text, `2024-02-29` or `2024-02-29Z` (`time.precision.mode = isostring`): a `NaiveDate`.
#[derive(Debug)]
pub struct IsoDate;

/// Microseconds since 1970: a `NaiveDateTime`, by default, or a `DateTime<Utc>`.
#[derive(Debug)]
pub struct MicroTimestamp;

/// Milliseconds since 1970: a `NaiveDateTime` or a `DateTime<Utc>`.
#[derive(Debug)]
pub struct Timestamp;

/// Nanoseconds since 1970: a `NaiveDateTime` or a `DateTime<Utc>`.
#[derive(Debug)]
pub struct NanoTimestamp;

/// A point in time as text with its offset, `2024-02-29T10:34:56.789012Z`: a `DateTime<Utc>`, by default, or a
/// `NaiveDateTime` in UTC.
#[derive(Debug)]
pub struct ZonedTimestamp;

/// A point in time without offset as text, `2024-02-29T10:34:56.789012` or with Debezium's `Z` at its end
/// (`time.precision.mode = isostring`): a `NaiveDateTime`.
#[derive(Debug)]
pub struct IsoTimestamp;

/// Microseconds since midnight: a `NaiveTime`, by default.
#[derive(Debug)]
pub struct MicroTime;

/// Milliseconds since midnight: a `NaiveTime`.
#[derive(Debug)]
pub struct Time;

/// Nanoseconds since midnight: a `NaiveTime`.
#[derive(Debug)]
pub struct NanoTime;

/// A time of day as text, `10:34:56.789012`, with or without Debezium's `Z` at its end
/// (`time.precision.mode = isostring`, `timetz`): a `NaiveTime`, in UTC.
#[derive(Debug)]
pub struct IsoTime;

/// A decimal with this many digits after the point, as its unscaled value (`decimal.handling.mode = precise`): a
/// `BigDecimal`, a `String` with its exact text, an `f64`, or an integer where it has no fraction.
///
/// Written `dbz::Decimal(2)` in `#[sync(as = …)]`. A decimal that carries its own scale (a `numeric` column without
/// one: `{"scale": 14, "value": "…"}`) and a JSON number (`decimal.format = numeric`) are read as they say.
#[derive(Debug)]
pub struct Decimal<const SCALE: i32>;

/// A decimal as text (`decimal.handling.mode = string`) or as a JSON number (`double`): the types of [`Decimal`].
#[derive(Debug)]
pub struct DecimalText;

/// Whatever the message's own schema says, and an error where it has none: the types of [`Decimal`], dates,
/// timestamps and times.
#[derive(Debug)]
pub struct FromSchema;

/// Bytes as base64: a `Vec<u8>`, by default.
#[derive(Debug)]
pub struct Base64;

/// Text: any type with `FromStr`, such as `std::net::IpAddr`.
#[derive(Debug)]
pub struct Text;

/// JSON within a text, as Debezium writes `json`, `jsonb` and `hstore`, or given directly: any type that derives
/// `Deserialize`; `serde_json::Value` by default.
#[derive(Debug)]
pub struct Json;
