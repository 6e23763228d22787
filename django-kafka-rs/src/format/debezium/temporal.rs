//! Dates, timestamps and times: counted from 1970 or from midnight, or as ISO text.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde::de::{Deserializer, Error};

use super::dbz;
use super::encoding::{ByType, DefaultEncoding, Encoding, Presence};
use super::placeholder::PLACEHOLDER;
use super::plain::parsed_text;
use super::scalar::Scalar;
use super::schema::FieldSchema;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    const fn since_1970(self) -> &'static str {
        match self {
            Self::Millis => "milliseconds since 1970",
            Self::Micros => "microseconds since 1970",
            Self::Nanos => "nanoseconds since 1970",
        }
    }

    const fn since_midnight(self) -> &'static str {
        match self {
            Self::Millis => "milliseconds since midnight",
            Self::Micros => "microseconds since midnight",
            Self::Nanos => "nanoseconds since midnight",
        }
    }

    const fn per_second(self) -> i64 {
        match self {
            Self::Millis => 1_000,
            Self::Micros => 1_000_000,
            Self::Nanos => 1_000_000_000,
        }
    }
}

/// How a schema says that a temporal value is written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Written {
    Days,
    IsoDate,
    Since1970(Unit),
    Zoned,
    IsoTimestamp,
    SinceMidnight(Unit),
    IsoTime,
}

impl Written {
    /// `None` for a name that is not one of time.
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "io.debezium.time.Date" | "org.apache.kafka.connect.data.Date" => Self::Days,
            "io.debezium.time.IsoDate" => Self::IsoDate,
            "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => Self::Since1970(Unit::Millis),
            "io.debezium.time.MicroTimestamp" => Self::Since1970(Unit::Micros),
            "io.debezium.time.NanoTimestamp" => Self::Since1970(Unit::Nanos),
            "io.debezium.time.ZonedTimestamp" => Self::Zoned,
            "io.debezium.time.IsoTimestamp" => Self::IsoTimestamp,
            "io.debezium.time.Time" | "org.apache.kafka.connect.data.Time" => Self::SinceMidnight(Unit::Millis),
            "io.debezium.time.MicroTime" => Self::SinceMidnight(Unit::Micros),
            "io.debezium.time.NanoTime" => Self::SinceMidnight(Unit::Nanos),
            "io.debezium.time.IsoTime" | "io.debezium.time.ZonedTime" => Self::IsoTime,
            _ => return None,
        })
    }

    fn by_schema(schema: Option<&FieldSchema>) -> Option<Self> {
        FieldSchema::name(schema).and_then(Self::of)
    }
}

/// The values that temporal types are made of: each says what it reads of what is written.
trait Temporal: Sized {
    /// For errors: `a date`.
    const WHAT: &'static str;
    /// Where neither the user nor a schema says.
    const DEFAULT: Written;

    /// `None`: this is not written so.
    fn read<'de, D: Deserializer<'de>>(value: D, written: Written) -> Option<Result<Presence<Self>, D::Error>>;
}

impl Temporal for NaiveDate {
    const WHAT: &'static str = "a date";
    const DEFAULT: Written = Written::Days;

    fn read<'de, D: Deserializer<'de>>(value: D, written: Written) -> Option<Result<Presence<Self>, D::Error>> {
        match written {
            Written::Days => Some(days(value)),
            Written::IsoDate => Some(parsed_text(value, "a date as text (2024-02-29)", |text| {
                text.strip_suffix('Z').unwrap_or(text).parse().ok()
            })),
            _ => None,
        }
    }
}

impl Temporal for DateTime<Utc> {
    const WHAT: &'static str = "a timestamp";
    const DEFAULT: Written = Written::Zoned;

    fn read<'de, D: Deserializer<'de>>(value: D, written: Written) -> Option<Result<Presence<Self>, D::Error>> {
        match written {
            Written::Since1970(unit) => Some(since_1970(value, unit)),
            Written::Zoned => Some(zoned(value)),
            Written::IsoTimestamp => Some(iso_timestamp(value).map(|read| read.map(|local| local.and_utc()))),
            _ => None,
        }
    }
}

impl Temporal for NaiveDateTime {
    const WHAT: &'static str = "a timestamp";
    const DEFAULT: Written = Written::Since1970(Unit::Micros);

    fn read<'de, D: Deserializer<'de>>(value: D, written: Written) -> Option<Result<Presence<Self>, D::Error>> {
        let in_utc = <DateTime<Utc> as Temporal>::read(value, written)?;
        Some(in_utc.map(|read| read.map(|instant| instant.naive_utc())))
    }
}

impl Temporal for NaiveTime {
    const WHAT: &'static str = "a time of day";
    const DEFAULT: Written = Written::SinceMidnight(Unit::Micros);

    fn read<'de, D: Deserializer<'de>>(value: D, written: Written) -> Option<Result<Presence<Self>, D::Error>> {
        match written {
            Written::SinceMidnight(unit) => Some(since_midnight(value, unit)),
            Written::IsoTime => Some(parsed_text(value, "a time of day as text (10:34:56.789)", iso_time)),
            _ => None,
        }
    }
}

/// An integer; `None` is the placeholder. Where a text is found, `for_text` says how to read one.
fn integer<'de, D: Deserializer<'de>>(value: D, expected: &str, for_text: &str) -> Result<Option<i64>, D::Error> {
    match Scalar::read(value)? {
        Scalar::Int(v) => Ok(Some(v)),
        Scalar::Text(text) if text == PLACEHOLDER => Ok(None),
        found @ Scalar::Text(_) => {
            let mismatch = found.mismatch(format_args!("{expected} (an integer)"));
            Err(D::Error::custom(format!("{mismatch}; for text write `as = {for_text}`")))
        }
        found => Err(found.wrong(format_args!("{expected} (an integer)"))),
    }
}

fn days<'de, D: Deserializer<'de>>(value: D) -> Result<Presence<NaiveDate>, D::Error> {
    let Some(days) = integer(value, "days since 1970", "dbz::IsoDate")? else { return Ok(Presence::Unavailable) };
    i32::try_from(days).ok().and_then(NaiveDate::from_epoch_days).map(Presence::Present).ok_or_else(|| {
        D::Error::custom(format!(
            "{days} days since 1970 are out of the range of dates (years {} to {})",
            year(NaiveDate::MIN),
            year(NaiveDate::MAX)
        ))
    })
}

fn since_1970<'de, D: Deserializer<'de>>(value: D, unit: Unit) -> Result<Presence<DateTime<Utc>>, D::Error> {
    let expected = unit.since_1970();
    let Some(count) = integer(value, expected, "dbz::IsoTimestamp` or `as = dbz::ZonedTimestamp")? else {
        return Ok(Presence::Unavailable);
    };
    let instant = match unit {
        Unit::Millis => DateTime::from_timestamp_millis(count),
        Unit::Micros => DateTime::from_timestamp_micros(count),
        Unit::Nanos => Some(DateTime::from_timestamp_nanos(count)),
    };
    instant.map(Presence::Present).ok_or_else(|| {
        D::Error::custom(format!(
            "{count} {expected} are out of the range of timestamps (years {} to {}); PostgreSQL's infinity arrives as \
             such a number",
            year(NaiveDate::MIN),
            year(NaiveDate::MAX)
        ))
    })
}

fn since_midnight<'de, D: Deserializer<'de>>(value: D, unit: Unit) -> Result<Presence<NaiveTime>, D::Error> {
    const SECONDS: i64 = 24 * 60 * 60;
    let expected = unit.since_midnight();
    let Some(count) = integer(value, expected, "dbz::IsoTime")? else { return Ok(Presence::Unavailable) };
    let (seconds, part) = (count.div_euclid(unit.per_second()), count.rem_euclid(unit.per_second()));
    if (0..SECONDS).contains(&seconds) {
        let nanos = part * (Unit::Nanos.per_second() / unit.per_second());
        if let Some(time) = NaiveTime::from_num_seconds_from_midnight_opt(seconds as u32, nanos as u32) {
            return Ok(Presence::Present(time));
        }
    }
    let named = if (seconds, part) == (SECONDS, 0) { " (24:00:00)" } else { "" };
    Err(D::Error::custom(format!(
        "{count} {expected}{named} are out of the range of a time of day (00:00:00 to 23:59:59.999999999); read the \
         column as an `i64`, or through a function with `with = path`"
    )))
}

fn zoned<'de, D: Deserializer<'de>>(value: D) -> Result<Presence<DateTime<Utc>>, D::Error> {
    parsed_text(value, "a timestamp as text with its offset (2024-02-29T10:34:56.789Z)", |text| {
        // The second takes years of more than four digits too.
        let instant = DateTime::parse_from_rfc3339(text).or_else(|_| text.parse()).ok()?;
        Some(instant.with_timezone(&Utc))
    })
}

fn iso_timestamp<'de, D: Deserializer<'de>>(value: D) -> Result<Presence<NaiveDateTime>, D::Error> {
    parsed_text(value, "a timestamp as text (2024-02-29T10:34:56.789)", |text| {
        text.strip_suffix('Z').unwrap_or(text).parse().ok()
    })
}

fn iso_time(text: &str) -> Option<NaiveTime> {
    let local = NaiveTime::parse_from_str(text.strip_suffix('Z').unwrap_or(text), "%H:%M:%S%.f");
    local.ok().or_else(|| {
        // With another offset than UTC's: chrono reads one only behind a date.
        let instant = DateTime::parse_from_rfc3339(&format!("1970-01-01T{text}")).ok()?;
        Some(instant.with_timezone(&Utc).time())
    })
}

fn year(date: NaiveDate) -> i32 {
    chrono::Datelike::year(&date)
}

/// What the schema says, or `otherwise`.
fn read<'de, T: Temporal, D: Deserializer<'de>>(
    value: D,
    schema: Option<&FieldSchema>,
    written: Written,
) -> Result<Presence<T>, D::Error> {
    T::read(value, written).unwrap_or_else(|| {
        let name = FieldSchema::name(schema).unwrap_or("(none)");
        Err(D::Error::custom(format!(
            "expected {}, but the message's schema says that the field is a `{name}`",
            T::WHAT
        )))
    })
}

macro_rules! encodings {
    ($($t:ty: $($encoding:ident = $written:expr),*;)*) => {$(
        impl DefaultEncoding for $t {
            type Encoding = ByType;
        }
        impl Encoding<$t> for ByType {
            fn read<'de, D: Deserializer<'de>>(
                value: D,
                schema: Option<&FieldSchema>,
            ) -> Result<Presence<$t>, D::Error> {
                read(value, schema, Written::by_schema(schema).unwrap_or(<$t as Temporal>::DEFAULT))
            }
        }
        impl Encoding<$t> for dbz::FromSchema {
            fn read<'de, D: Deserializer<'de>>(
                value: D,
                schema: Option<&FieldSchema>,
            ) -> Result<Presence<$t>, D::Error> {
                match Written::by_schema(schema) {
                    Some(written) => read(value, schema, written),
                    None => Err(D::Error::custom(format!(
                        "the message carries no schema that says how {} is written; name its encoding: `as = dbz::…`",
                        <$t as Temporal>::WHAT
                    ))),
                }
            }
        }
        $(
            #[diagnostic::do_not_recommend]
            impl Encoding<$t> for dbz::$encoding {
                fn read<'de, D: Deserializer<'de>>(
                    value: D,
                    schema: Option<&FieldSchema>,
                ) -> Result<Presence<$t>, D::Error> {
                    read(value, schema, $written)
                }
            }
        )*
    )*};
}

encodings! {
    NaiveDate: Date = Written::Days, IsoDate = Written::IsoDate;
    NaiveDateTime:
        MicroTimestamp = Written::Since1970(Unit::Micros),
        Timestamp = Written::Since1970(Unit::Millis),
        NanoTimestamp = Written::Since1970(Unit::Nanos),
        ZonedTimestamp = Written::Zoned,
        IsoTimestamp = Written::IsoTimestamp;
    DateTime<Utc>:
        MicroTimestamp = Written::Since1970(Unit::Micros),
        Timestamp = Written::Since1970(Unit::Millis),
        NanoTimestamp = Written::Since1970(Unit::Nanos),
        ZonedTimestamp = Written::Zoned,
        IsoTimestamp = Written::IsoTimestamp;
    NaiveTime:
        MicroTime = Written::SinceMidnight(Unit::Micros),
        Time = Written::SinceMidnight(Unit::Millis),
        NanoTime = Written::SinceMidnight(Unit::Nanos),
        IsoTime = Written::IsoTime;
}
