//! What Debezium writes for a value that it did not have: an unchanged TOAST column with the default replica identity.
//! A text, its base64 for bytes, an array of it, an array of its characters for integers, and a map of it to itself.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::encoding::Presence;

/// The text (Debezium's property `unavailable.value.placeholder` at its default).
pub(super) const PLACEHOLDER: &str = "__debezium_unavailable_value";
/// Its start as JSON text of a map, which is how an unchanged `hstore` is written.
pub(super) const PLACEHOLDER_MAP: &str = "{\"__debezium_unavailable_value\"";
/// Its name-based UUID, the only element of an unchanged `uuid[]`.
pub(super) const PLACEHOLDER_UUID: uuid::Uuid = uuid::Uuid::from_u128(0xb68a_35a7_17ad_35b3_af2a_ae46_edb4_545a);

/// Whether these are the placeholder's characters, one by one.
pub(super) fn is_spelled(codes: impl ExactSizeIterator<Item = Option<i64>>) -> bool {
    codes.len() == PLACEHOLDER.len() && codes.zip(PLACEHOLDER.bytes()).all(|(code, byte)| code == Some(i64::from(byte)))
}

/// Reads a `T` by its own `Deserialize`, but for the placeholder in place of the value, behind newtypes and options, as
/// an enum's variant, or as the only element of an array: a type made of a text would take it for a value.
pub(super) fn read_or_unavailable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    value: D,
) -> Result<Presence<T>, D::Error> {
    let seen = Cell::new(Seen::Other);
    let read = T::deserialize(Spy { inner: value, seen: &seen });
    match (read, seen.get()) {
        (_, Seen::Placeholder) => Ok(Presence::Unavailable),
        (Ok(value), _) => Ok(Presence::Present(value)),
        (Err(error), Seen::Null) => Err(D::Error::custom(format!(
            "{error}: the value is null, but the field has no NULL; make it an `Option<…>`"
        ))),
        (Err(error), Seen::Other) => Err(error),
    }
}

/// What came by.
#[derive(Clone, Copy, PartialEq)]
enum Seen {
    Other,
    Null,
    Placeholder,
}

/// A deserializer, visitor or seed that looks at the values which pass through it.
struct Spy<'s, I> {
    inner: I,
    seen: &'s Cell<Seen>,
}

impl<'s, I> Spy<'s, I> {
    fn over<J>(&self, inner: J) -> Spy<'s, J> {
        Spy { inner, seen: self.seen }
    }

    fn look<E: Error>(&self, text: &[u8]) -> Result<(), E> {
        if text == PLACEHOLDER.as_bytes() {
            self.seen.set(Seen::Placeholder);
            return Err(E::custom(PLACEHOLDER));
        }
        Ok(())
    }
}

macro_rules! deserialize {
    ($($method:ident)* => any) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.deserialize_any(visitor)
        }
    )*};
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            let visitor = self.over(visitor);
            self.inner.$method(visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Spy<'_, D> {
    type Error = D::Error;

    deserialize! {
        deserialize_any deserialize_i128 deserialize_u128 deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_ignored_any
    }
    // A hint that the value does not follow makes an error before a visitor sees the value: so no hint.
    deserialize! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_unit deserialize_seq deserialize_map deserialize_identifier => any
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, v: V) -> Result<V::Value, D::Error> {
        self.deserialize_any(v)
    }
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, v: V) -> Result<V::Value, D::Error> {
        self.deserialize_any(v)
    }
    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, v: V) -> Result<V::Value, D::Error> {
        self.deserialize_any(v)
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        v: V,
    ) -> Result<V::Value, D::Error> {
        self.deserialize_any(v)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, v: V) -> Result<V::Value, D::Error> {
        let v = self.over(v);
        self.inner.deserialize_newtype_struct(name, v)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        v: V,
    ) -> Result<V::Value, D::Error> {
        let v = self.over(v);
        self.inner.deserialize_enum(name, variants, v)
    }
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! forward_visit {
    ($($method:ident: $t:ty),* $(,)?) => {$(
        fn $method<E: Error>(self, v: $t) -> Result<V::Value, E> {
            self.inner.$method(v)
        }
    )*};
}
macro_rules! look_and_visit {
    ($($method:ident: $t:ty),* $(,)?) => {$(
        fn $method<E: Error>(self, v: $t) -> Result<V::Value, E> {
            self.look(v.as_ref())?;
            self.inner.$method(v)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Spy<'_, V> {
    type Value = V::Value;

    forward_visit! {
        visit_bool: bool, visit_i8: i8, visit_i16: i16, visit_i32: i32, visit_i64: i64, visit_i128: i128,
        visit_u8: u8, visit_u16: u16, visit_u32: u32, visit_u64: u64, visit_u128: u128, visit_f32: f32, visit_f64: f64,
        visit_char: char,
    }
    look_and_visit! {
        visit_str: &str, visit_borrowed_str: &'de str, visit_string: String,
        visit_bytes: &[u8], visit_borrowed_bytes: &'de [u8], visit_byte_buf: Vec<u8>,
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }
    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.seen.set(Seen::Null);
        self.inner.visit_none()
    }
    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.seen.set(Seen::Null);
        self.inner.visit_unit()
    }
    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        let value = self.over(value);
        self.inner.visit_some(value)
    }
    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        let value = self.over(value);
        self.inner.visit_newtype_struct(value)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(map)
    }
    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        let data = self.over(data);
        self.inner.visit_enum(data)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<V::Value, A::Error> {
        let seen = self.seen;
        let mut elements = 0_usize;
        let read = self.inner.visit_seq(SpySeq { inner: &mut seq, seen, elements: &mut elements });
        if seen.get() == Seen::Placeholder {
            // The array is read to its end, so that the row goes on behind it.
            while seq.next_element::<IgnoredAny>()?.is_some() {
                elements += 1;
            }
        }
        // A null element, or a placeholder beside others, says nothing of the array.
        if read.is_err() && !(seen.get() == Seen::Placeholder && elements == 1) {
            seen.set(Seen::Other);
        }
        read
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Spy<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<S::Value, D::Error> {
        let value = self.over(value);
        self.inner.deserialize(value)
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Spy<'_, A> {
    type Error = A::Error;
    type Variant = A::Variant;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, A::Variant), A::Error> {
        let seed = self.over(seed);
        self.inner.variant_seed(seed)
    }
}

struct SpySeq<'s, A> {
    inner: A,
    seen: &'s Cell<Seen>,
    elements: &'s mut usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for SpySeq<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        *self.elements += 1;
        self.inner.next_element_seed(Spy { inner: seed, seen: self.seen })
    }
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Name(String);

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Mood {
        Glad,
    }

    fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<Presence<T>, String> {
        let mut json = serde_json::Deserializer::from_str(json);
        let value = read_or_unavailable(&mut json).map_err(|e| e.to_string())?;
        json.end().expect("the value is read to its end");
        Ok(value)
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Point {
        x: f64,
    }

    #[test]
    fn a_users_type_never_takes_the_placeholder_for_a_value() {
        let p = format!("{PLACEHOLDER:?}");
        assert_eq!(read::<Name>(&p), Ok(Presence::Unavailable));
        assert_eq!(read::<Option<Name>>(&p), Ok(Presence::Unavailable));
        assert_eq!(read::<Mood>(&p), Ok(Presence::Unavailable));
        assert_eq!(read::<Point>(&p), Ok(Presence::Unavailable));
        assert_eq!(read::<Point>("{\"x\": 1}"), Ok(Presence::Present(Point { x: 1.0 })));
        assert_eq!(read::<Vec<Name>>(&format!("[{p}]")), Ok(Presence::Unavailable));
        assert_eq!(read::<Name>("\"x\""), Ok(Presence::Present(Name("x".into()))));
        assert_eq!(read::<Mood>("\"glad\""), Ok(Presence::Present(Mood::Glad)));
        assert_eq!(read::<Option<Mood>>("null"), Ok(Presence::Present(None)));
        assert_eq!(read::<Vec<Option<Name>>>("[null]"), Ok(Presence::Present(vec![None])));
        assert!(read::<Vec<Name>>(&format!("[{p}, \"x\"]")).is_err());
        assert!(read::<Name>("null").unwrap_err().contains("make it an `Option<…>`"));
    }

    #[test]
    fn spells() {
        assert!(is_spelled(PLACEHOLDER.bytes().map(|b| Some(i64::from(b)))));
        assert!(!is_spelled([Some(95), None].into_iter()));
    }
}
