//! The user's own functions on fields, and two columns of one message field.

use expect_test::expect;
use serde::Deserializer;

use super::*;
use crate::error::{DecodeError, TransformError};
use crate::format::FieldSchema;
use crate::format::debezium::ByType;
use crate::sync::SyncContext;
use crate::sync::model::{Dialect, LookupField, Patch, Targets};

/// A `with` function and a `compute` function, as the derives write them; two columns read one field.
#[derive(Debug, Default)]
struct Computed {
    id: Option<i64>,
    name: Option<String>,
    length: Option<usize>,
    offset: Option<i64>,
    error: Option<TransformError>,
}

impl Patch for Computed {
    fn columns_of(message_field: &str) -> &'static [usize] {
        match message_field {
            "id" => &[0],
            "name" => &[1, 2],
            _ => &[],
        }
    }
    fn read<'de, D: Deserializer<'de>>(
        &mut self,
        column: usize,
        value: D,
        schema: Option<&FieldSchema>,
    ) -> Result<(), D::Error> {
        use crate::sync::decode::read_present;
        match column {
            0 => self.id = read_present::<i64, ByType, D>(value, schema)?,
            1 => match read_present::<String, ByType, D>(value, schema)? {
                Some(name) if name.is_empty() => {
                    self.error = Some(TransformError::new("name", std::fmt::Error));
                    return Err(serde::de::Error::custom("name"));
                }
                name => self.name = name,
            },
            _ => self.length = read_present::<String, ByType, D>(value, schema)?.map(|name| name.len()),
        }
        Ok(())
    }
    fn adopt(&mut self, column: usize, from: &mut Self) {
        match column {
            0 => self.id = from.id.take(),
            3 => self.offset = from.offset.take(),
            _ => {}
        }
    }
    fn take_error(&mut self) -> Option<TransformError> {
        self.error.take()
    }
    fn compute(&mut self, cx: &SyncContext<'_>) -> Result<(), ConsumeError> {
        self.offset = Some(cx.offset());
        Ok(())
    }
}

impl Row for Computed {
    fn present(&self) -> ColumnSet {
        let present = [self.id.is_some(), self.name.is_some(), self.length.is_some(), self.offset.is_some()];
        (0..4).filter(|column| present[*column]).fold(ColumnSet::EMPTY, ColumnSet::with)
    }
    no_row!();
}

const COMPUTED: ModelDescriptor = descriptor(
    "Computed",
    &[
        column("id"),
        column("name"),
        ColumnDescriptor { message_field: Some("name"), ..column("length") },
        ColumnDescriptor { message_field: None, ..column("offset") },
    ],
    || table("computed"),
    crate::sync::decode::decode_message::<Computed>,
);

#[test]
fn functions_of_the_user() {
    let topic = topic(Dialect::Debezium, Targets::One(&COMPUTED));
    let by_offset = with(topic, |options| options.lookup = Some(&[LookupField { field: "offset", whole_key: false }]));
    let shown =
        |topic, value: Option<&str>| show::<Computed>(decode(topic, Some(KEY.as_bytes()), value.map(str::as_bytes)));
    let rows = [
        shown(&topic, Some(r#"{"id":1,"name":"ab"}"#)),
        shown(&topic, Some(r#"{"id":1,"name":5}"#)),
        shown(&topic, Some(r#"{"id":1,"name":""}"#)),
        shown(&topic, Some(r#"{"id":1,"name":"","__deleted":"true"}"#)),
        shown(&by_offset, None),
    ];
    expect![[r#"
        upsert by [0] Computed { id: Some(1), name: Some("ab"), length: Some(2), offset: Some(0), error: None }
        error: field `name` (column `computed.name`): expected a text, found the integer 5
        error: field `name`: an error occurred when formatting an argument
        delete by [0] Computed { id: Some(1), name: None, length: None, offset: None, error: None }
        delete by [3] Computed { id: None, name: None, length: None, offset: Some(0), error: None }"#]]
    .assert_eq(&rows.join("\n"));

    let error = decode(&topic, Some(KEY.as_bytes()), Some(br#"{"name":""}"#)).unwrap_err();
    assert!(error.error().is::<TransformError>());
    let cause = error.error().source().expect("a function's own error is kept");
    assert!(cause.is::<std::fmt::Error>());
    let error = decode(&topic, Some(KEY.as_bytes()), Some(b"[]")).unwrap_err();
    assert!(error.error().is::<DecodeError>());
}
