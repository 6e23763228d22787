//! Logical types as text and back, for types that are read from and written as text: chrono's, `Uuid`, `BigDecimal`.

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, RoundingMode};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Timelike as _, Utc};
use uuid::Uuid;

use super::schema::{Logical, Unit, Zone};

/// The most digits before or behind the point, as in the encodings: an exponent is a small text that asks for much.
const SCALE_MAX: i64 = 131_072;

/// The bytes of an unscaled decimal at most: they are turned into digits, which costs their square.
const DECIMAL_BYTES_MAX: usize = 64 * 1024;

/// What a number means, as text; `None` where it means itself.
pub(super) fn text_of(logical: Logical, value: i64) -> Option<Result<String, String>> {
    Some(match logical {
        Logical::Date => date(value).map(|date| date.to_string()),
        Logical::Time(unit) => time(value, unit).map(|time| time.to_string()),
        Logical::Timestamp(unit, zone) => timestamp(value, unit).map(|instant| match zone {
            Zone::Utc => instant.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            Zone::Local => instant.naive_utc().format("%Y-%m-%dT%H:%M:%S%.f").to_string(),
        }),
        Logical::Decimal { .. } | Logical::Uuid => return None,
    })
}

fn date(days: i64) -> Result<NaiveDate, String> {
    let date = i32::try_from(days).ok().and_then(NaiveDate::from_epoch_days);
    date.ok_or_else(|| format!("{days} days since 1970 are out of the range of dates"))
}

fn time(count: i64, unit: Unit) -> Result<NaiveTime, String> {
    let (seconds, part) = (count.div_euclid(unit.per_second()), count.rem_euclid(unit.per_second()));
    let nanos = part * unit.nanos();
    let seconds = u32::try_from(seconds).ok();
    let time = seconds.and_then(|seconds| NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos as u32));
    time.ok_or_else(|| format!("{count} ({unit:?} since midnight) are out of the range of a time of day"))
}

fn timestamp(count: i64, unit: Unit) -> Result<DateTime<Utc>, String> {
    let instant = match unit {
        Unit::Millis => DateTime::from_timestamp_millis(count),
        Unit::Micros => DateTime::from_timestamp_micros(count),
        Unit::Nanos => Some(DateTime::from_timestamp_nanos(count)),
    };
    instant.ok_or_else(|| format!("{count} ({unit:?} since 1970) are out of the range of timestamps"))
}

/// A decimal from its unscaled value, big-endian in two's complement.
pub(super) fn decimal(unscaled: &[u8], scale: i32) -> Result<BigDecimal, String> {
    if i64::from(scale).abs() > SCALE_MAX {
        return Err(format!("a decimal's scale is out of range (-{SCALE_MAX} to {SCALE_MAX}): {scale}"));
    }
    if unscaled.len() > DECIMAL_BYTES_MAX {
        return Err(format!("a decimal of {} bytes; at most {DECIMAL_BYTES_MAX} are read", unscaled.len()));
    }
    Ok(BigDecimal::new(BigInt::from_signed_bytes_be(unscaled), scale.into()))
}

/// The unscaled value of a decimal's text at this scale.
pub(super) fn unscaled(text: &str, scale: i32) -> Result<Vec<u8>, String> {
    let decimal: BigDecimal = text.parse().map_err(|_| format!("expected a decimal, found the text {text:?}"))?;
    if decimal.fractional_digit_count().abs() > SCALE_MAX {
        return Err(format!("a decimal's scale is out of range (-{SCALE_MAX} to {SCALE_MAX})"));
    }
    let scaled = decimal.with_scale_round(scale.into(), RoundingMode::Down);
    if scaled != decimal {
        return Err(format!("{decimal} has more digits behind the point than the schema's scale, {scale}"));
    }
    Ok(scaled.as_bigint_and_exponent().0.to_signed_bytes_be())
}

/// The number that a text means.
pub(super) fn number_of(logical: Logical, text: &str) -> Option<Result<i64, String>> {
    let parsed = match logical {
        Logical::Date => {
            text.parse::<NaiveDate>().ok().map(|date| i64::from(date.to_epoch_days())).ok_or("a date (2024-02-29)")
        }
        Logical::Time(unit) => {
            text.parse().ok().map(|time| since_midnight(time, unit)).ok_or("a time of day (10:34:56.789)")
        }
        Logical::Timestamp(unit, zone) => {
            let instant = match zone {
                Zone::Utc => DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.to_utc()),
                Zone::Local => text.parse::<NaiveDateTime>().ok().map(|local| local.and_utc()),
            };
            // A timestamp without a zone is one of UTC where nothing else is known, and the other way round.
            let instant = instant.or_else(|| match zone {
                Zone::Utc => text.parse::<NaiveDateTime>().ok().map(|local| local.and_utc()),
                Zone::Local => DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.to_utc()),
            });
            instant
                .and_then(|instant| since_1970(instant, unit))
                .ok_or("a timestamp (2024-02-29T10:34:56.789Z) in the range of the schema's unit")
        }
        Logical::Decimal { .. } | Logical::Uuid => return None,
    };
    Some(parsed.map_err(|expected| format!("expected {expected}, found the text {text:?}")))
}

/// What is finer than the unit is cut off, as every writer of Avro does: a clock gives nanoseconds. `None`: it is out
/// of range.
fn since_1970(instant: DateTime<Utc>, unit: Unit) -> Option<i64> {
    let part = i64::from(instant.timestamp_subsec_nanos()) / unit.nanos();
    // Through 128 bits: the earliest nanosecond is in range, the second before it is not.
    let count = i128::from(instant.timestamp()) * i128::from(unit.per_second()) + i128::from(part);
    i64::try_from(count).ok()
}

fn since_midnight(time: NaiveTime, unit: Unit) -> i64 {
    i64::from(time.num_seconds_from_midnight()) * unit.per_second() + i64::from(time.nanosecond()) / unit.nanos()
}

/// A UUID in 16 bytes as text.
pub(super) fn uuid_text(bytes: &[u8]) -> Option<String> {
    Uuid::from_slice(bytes).ok().map(|uuid| uuid.to_string())
}

/// A UUID's text as its 16 bytes.
pub(super) fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    Uuid::try_parse(text).ok().map(Uuid::into_bytes)
}
