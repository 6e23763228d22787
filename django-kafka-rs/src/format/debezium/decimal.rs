//! Decimals: as unscaled bytes with a scale from elsewhere, with their own scale, as numbers, and as texts.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bigdecimal::BigDecimal;
use bigdecimal::ToPrimitive;
use bigdecimal::num_bigint::BigInt;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::dbz;
use super::encoding::{ByType, DefaultEncoding, Encoding, Opt, Presence, Seq};
use super::placeholder::PLACEHOLDER;
use super::scalar::{Scalar, quoted};
use super::schema::FieldSchema;

/// The most digits before or after the point, those of `numeric`: a longer exponent would be a small message that
/// asks for gigabytes.
const SCALE_MAX: i64 = 131_072;

const CONNECT_DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
const VARIABLE_SCALE: &str = "io.debezium.data.VariableScaleDecimal";

/// A type that decimals are read into.
pub trait FromDecimal: Sized {
    /// The value, or why it has none.
    #[doc(hidden)]
    fn from_decimal(decimal: BigDecimal) -> Result<Self, String>;
}

impl FromDecimal for BigDecimal {
    fn from_decimal(decimal: BigDecimal) -> Result<Self, String> {
        Ok(decimal)
    }
}

/// The exact text, with all digits after the point: `1.10`.
impl FromDecimal for String {
    fn from_decimal(decimal: BigDecimal) -> Result<Self, String> {
        Ok(decimal.to_plain_string())
    }
}

macro_rules! integers {
    ($($t:ident),*) => {$(
        impl FromDecimal for $t {
            fn from_decimal(decimal: BigDecimal) -> Result<Self, String> {
                let whole = if decimal.is_integer() { decimal.to_i128() } else { None };
                whole.and_then(|v| $t::try_from(v).ok()).ok_or_else(|| {
                    format!(
                        concat!("expected an integer (", stringify!($t), ", {} to {}), found the decimal {}"),
                        $t::MIN, $t::MAX, decimal,
                    )
                })
            }
        }
    )*};
}
integers!(i8, i16, i32, i64, u16, u32, u64);

impl<const SCALE: i32, T: FromDecimal> Encoding<T> for dbz::Decimal<SCALE> {
    fn read<'de, D: Deserializer<'de>>(value: D, _schema: Option<&FieldSchema>) -> Result<Presence<T>, D::Error> {
        read(value, Texts::Unscaled(SCALE))
    }
}

impl<T: FromDecimal> Encoding<T> for dbz::DecimalText {
    fn read<'de, D: Deserializer<'de>>(value: D, _schema: Option<&FieldSchema>) -> Result<Presence<T>, D::Error> {
        read(value, Texts::Decimal)
    }
}

impl<T: FromDecimal> Encoding<T> for dbz::FromSchema {
    fn read<'de, D: Deserializer<'de>>(value: D, schema: Option<&FieldSchema>) -> Result<Presence<T>, D::Error> {
        read_by_schema(value, schema)
    }
}

/// Whether the schema says that the field is a decimal in bytes.
pub(super) fn is_decimal(schema: Option<&FieldSchema>) -> bool {
    matches!(FieldSchema::name(schema), Some(CONNECT_DECIMAL | VARIABLE_SCALE))
}

/// Reads a decimal as the schema says.
pub(super) fn read_by_schema<'de, T: FromDecimal, D: Deserializer<'de>>(
    value: D,
    schema: Option<&FieldSchema>,
) -> Result<Presence<T>, D::Error> {
    let texts = match schema {
        None => Texts::Unknown(
            "the message carries no schema, so the decimal's scale is unknown; write `as = dbz::Decimal(scale)`",
        ),
        Some(schema) => match (schema.name.as_deref(), schema.scale, schema.carrier.as_deref()) {
            // Its texts stand beside their own scale.
            (Some(VARIABLE_SCALE), ..) => Texts::Unknown("expected a decimal with its own scale, found a text"),
            (Some(CONNECT_DECIMAL), Some(scale), _) => Texts::Unscaled(scale),
            (Some(CONNECT_DECIMAL), None, _) => Texts::Unknown("the message's schema names a decimal without a scale"),
            (None, _, Some("string")) => Texts::Decimal,
            _ => Texts::Unknown(
                "the message's schema does not say that the field is a decimal; write `as = dbz::Decimal(scale)` or \
                 `as = dbz::DecimalText`",
            ),
        },
    };
    read(value, texts)
}

/// What a text in a decimal's place is.
#[derive(Debug, Clone, Copy)]
enum Texts {
    /// Base64 of the unscaled value.
    Unscaled(i32),
    /// The decimal itself.
    Decimal,
    /// Nobody said.
    Unknown(&'static str),
}

fn read<'de, T: FromDecimal, D: Deserializer<'de>>(value: D, texts: Texts) -> Result<Presence<T>, D::Error> {
    match value.deserialize_newtype_struct(RAW_VALUE, DecimalVisitor(texts))? {
        Presence::Unavailable => Ok(Presence::Unavailable),
        Presence::Present(decimal) => T::from_decimal(decimal).map(Presence::Present).map_err(D::Error::custom),
    }
}

impl Texts {
    fn expected(self) -> Cow<'static, str> {
        match self {
            Self::Unscaled(scale) => format!(
                "a decimal with scale {scale} (base64 of its unscaled value, a number, or an object of scale and value)"
            )
            .into(),
            Self::Decimal => "a decimal as text or number".into(),
            Self::Unknown(_) => "a decimal".into(),
        }
    }

    /// The decimal that a text is; without one: what was expected.
    fn decimal(self, text: &str) -> Result<Presence<BigDecimal>, String> {
        if text == PLACEHOLDER {
            return Ok(Presence::Unavailable);
        }
        match self {
            // With its padding: fewer decimals written as texts pass for base64.
            Self::Unscaled(scale) => match STANDARD.decode(text) {
                Ok(bytes) => self.unscaled(&bytes, scale),
                Err(_) => Err(Scalar::Text(text.into()).mismatch(self.expected())),
            },
            Self::Decimal => number(text).map(Presence::Present),
            Self::Unknown(why) => Err(why.to_owned()),
        }
    }

    fn unscaled(self, bytes: &[u8], scale: i32) -> Result<Presence<BigDecimal>, String> {
        if bytes == PLACEHOLDER.as_bytes() {
            return Ok(Presence::Unavailable);
        }
        if bytes.is_empty() {
            return Err(Scalar::Text("".into()).mismatch(self.expected()));
        }
        bounded(BigDecimal::new(BigInt::from_signed_bytes_be(bytes), scale.into())).map(Presence::Present)
    }

    /// The decimal that a JSON value is.
    fn raw(self, json: &str) -> Result<Presence<BigDecimal>, String> {
        let wrong = |found: Scalar<'_>| Err(found.mismatch(self.expected()));
        match json.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => number(json).map(Presence::Present),
            Some(b'{') => match serde_json::from_str(json) {
                Ok(VariableScale { scale, value }) => Self::Unscaled(scale).decimal(&value),
                Err(_) => wrong(Scalar::Object),
            },
            Some(b'"') => match serde_json::from_str::<Cow<'_, str>>(json) {
                Ok(text) => self.decimal(&text),
                Err(error) => Err(error.to_string()),
            },
            Some(b'[') => wrong(Scalar::Array),
            Some(b't') => wrong(Scalar::Bool(true)),
            Some(b'f') => wrong(Scalar::Bool(false)),
            _ => wrong(Scalar::Null),
        }
    }
}

#[derive(serde::Deserialize)]
struct VariableScale<'a> {
    scale: i32,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

/// A decimal's own text.
fn number(text: &str) -> Result<BigDecimal, String> {
    let decimal = text.parse().map_err(|_| format!("expected a decimal, found the text {}", quoted(text)))?;
    bounded(decimal)
}

fn bounded(decimal: BigDecimal) -> Result<BigDecimal, String> {
    let scale = decimal.fractional_digit_count();
    if scale.unsigned_abs() > SCALE_MAX.unsigned_abs() {
        return Err(format!("a decimal's scale is out of range (-{SCALE_MAX} to {SCALE_MAX}): {scale}"));
    }
    Ok(decimal)
}

/// The name by which `serde_json` gives a value's own text (its `RawValue` asks so), that a JSON number keeps digits
/// which an `f64` would lose. Other formats know nothing of it and give the value. The test
/// `json_numbers_keep_all_their_digits` fails should `serde_json` ever change it.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

struct DecimalVisitor(Texts);

impl DecimalVisitor {
    fn wrong<E: Error>(&self, found: &Scalar<'_>) -> E {
        found.wrong(self.0.expected())
    }
}

impl<'de> Visitor<'de> for DecimalVisitor {
    type Value = Presence<BigDecimal>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.expected())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut scale, mut bytes) = (None, None);
        while let Some(Scalar::Text(key)) = map.next_key()? {
            match &*key {
                RAW_VALUE => {
                    let Scalar::Text(json) = map.next_value()? else { break };
                    return self.0.raw(&json).map_err(A::Error::custom);
                }
                "scale" => scale = Some(map.next_value::<i32>()?),
                "value" => bytes = Some(map.next_value::<Scalar<'de>>()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match (scale, bytes) {
            (Some(scale), Some(Scalar::Text(text))) => Texts::Unscaled(scale).decimal(&text),
            (Some(scale), Some(Scalar::Bytes(bytes))) => self.0.unscaled(&bytes, scale),
            _ => Err(Scalar::Object.mismatch(self.0.expected())),
        }
        .map_err(A::Error::custom)
    }
    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_any(self)
    }
    fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
        self.0.decimal(v).map_err(E::custom)
    }
    fn visit_bytes<E: Error>(self, v: &[u8]) -> Result<Self::Value, E> {
        match self.0 {
            Texts::Unscaled(scale) => self.0.unscaled(v, scale).map_err(E::custom),
            Texts::Unknown(why) => Err(E::custom(why)),
            Texts::Decimal => Err(self.wrong(&Scalar::Bytes(v.into()))),
        }
    }
    fn visit_i64<E: Error>(self, v: i64) -> Result<Self::Value, E> {
        Ok(Presence::Present(v.into()))
    }
    fn visit_u64<E: Error>(self, v: u64) -> Result<Self::Value, E> {
        Ok(Presence::Present(v.into()))
    }
    fn visit_f64<E: Error>(self, v: f64) -> Result<Self::Value, E> {
        // The shortest text that reads back as the same number: what was written, up to 15 digits.
        number(&v.to_string()).map(Presence::Present).map_err(E::custom)
    }
    fn visit_bool<E: Error>(self, v: bool) -> Result<Self::Value, E> {
        Err(self.wrong(&Scalar::Bool(v)))
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Err(self.wrong(&Scalar::Null))
    }
    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Err(self.wrong(&Scalar::Null))
    }
    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_any(self)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, _seq: A) -> Result<Self::Value, A::Error> {
        Err(self.wrong(&Scalar::Array))
    }
}

/// What stands where a `BigDecimal` has no `as`: nothing can be read by it, and [`SaysHow`] says why when it is used.
#[doc(hidden)]
#[derive(Debug)]
pub struct DecimalNeedsScale;

impl DefaultEncoding for BigDecimal {
    type Encoding = DecimalNeedsScale;
}

impl<T> Encoding<T> for DecimalNeedsScale {
    fn read<'de, D: Deserializer<'de>>(_: D, _: Option<&FieldSchema>) -> Result<Presence<T>, D::Error> {
        Err(D::Error::custom("a decimal in a message does not say its scale; write `as = dbz::Decimal(scale)`"))
    }
}

/// A default encoding that can be used: all but [`DecimalNeedsScale`].
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a decimal in a message does not say its scale",
    label = "needs an encoding",
    note = "write `#[sync(as = dbz::Decimal(scale))]` with the column's digits after the point, \
            `#[sync(as = dbz::DecimalText)]` where the connector has `decimal.handling.mode = string`, or \
            `#[sync(as = dbz::FromSchema)]` where the messages carry their schema"
)]
pub trait SaysHow {}
#[diagnostic::do_not_recommend]
impl SaysHow for ByType {}
#[diagnostic::do_not_recommend]
impl SaysHow for dbz::Base64 {}
#[diagnostic::do_not_recommend]
impl<E: SaysHow> SaysHow for Opt<E> {}
#[diagnostic::do_not_recommend]
impl<E: SaysHow> SaysHow for Seq<E> {}
