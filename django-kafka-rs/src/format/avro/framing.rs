//! The Confluent wire format: a zero byte, the schema's id in four bytes, the value in Avro.

use crate::error::DecodeError;
use crate::record::Headers;

/// The first byte where the schema's id follows.
const MAGIC_ID: u8 = 0;
/// The first byte where a header of the message holds the schema's GUID.
const MAGIC_GUID: u8 = 1;
/// The bytes before the value.
const HEADER_BYTES: usize = 5;

/// The headers in which Confluent's newer framing has the schema's GUID.
const GUID_HEADERS: [(&str, &str); 2] = [("key", "__key_schema_id"), ("value", "__value_schema_id")];

/// Whether a key or value begins as the clients of a schema registry write it. JSON never does.
pub(crate) const fn names_schema(bytes: &[u8]) -> bool {
    matches!(bytes, [MAGIC_ID | MAGIC_GUID, ..])
}

/// Splits a message's key or value, whose framing may be in a header.
///
/// # Errors
/// It is framed otherwise, with what it looks like.
pub(crate) fn split_part<'b>(part: &str, bytes: &'b [u8], headers: &Headers) -> Result<(u32, &'b [u8]), DecodeError> {
    let header = GUID_HEADERS.iter().find(|(of, _)| *of == part).map(|(_, header)| *header);
    match header.filter(|header| headers.get(header).is_some()) {
        Some(header) => Err(guid(&format!("the header `{header}`"))),
        None => split(bytes),
    }
}

/// Splits a key or value into the id of its schema and the Avro bytes.
///
/// # Errors
/// The bytes are framed otherwise, with what they look like.
pub(crate) fn split(bytes: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    match bytes {
        [MAGIC_ID, a, b, c, d, avro @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), avro)),
        [] => Err(wrong("it is empty")),
        [MAGIC_ID, ..] => Err(wrong(&format!("it ends after {} of {HEADER_BYTES} bytes", bytes.len()))),
        [MAGIC_GUID, ..] => Err(guid("its first byte")),
        [b'{' | b'[' | b'"', ..] => Err(wrong("it looks like JSON, which `format = json` reads")),
        [other, ..] => Err(wrong(&format!("its first byte is {other}"))),
    }
}

fn guid(place: &str) -> DecodeError {
    DecodeError::new(format!(
        "{place} says that the schema is named by a GUID, which is Confluent's newer framing and is not read here; let \
         the producer write the schema's id before the bytes: in Confluent's clients `key.schema.id.serializer` and \
         `value.schema.id.serializer` are `io.confluent.kafka.serializers.schema.id.PrefixSchemaIdSerializer`"
    ))
}

fn wrong(found: &str) -> DecodeError {
    DecodeError::new(format!(
        "expected Avro as a schema registry's clients write it (a zero byte and the schema's id in four), but {found}"
    ))
}

/// The bytes of a key or value that begin with the id of its schema.
pub(crate) fn join(id: u32, avro: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + avro.len());
    bytes.push(MAGIC_ID);
    bytes.extend(id.to_be_bytes());
    bytes.extend(avro);
    bytes
}
