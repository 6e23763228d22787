//! Each encoding against the texts that Debezium and Connect's JSON converter write, at the ends of its range.

mod decimals;
mod plain;
mod properties;
mod schemas;
mod temporal;

use std::fmt::{Debug, Write};

use expect_test::Expect;

use super::*;

/// Reads JSON text, to its end.
fn read_with<T, E: Encoding<T>>(json: &str, schema: Option<&FieldSchema>) -> Result<Presence<T>, String> {
    let mut json = serde_json::Deserializer::from_str(json);
    let value = E::read(&mut json, schema).map_err(|error| {
        let position = format!(" at line {} column {}", error.line(), error.column());
        error.to_string().replace(&position, "")
    })?;
    json.end().expect("a value that was read is read to its end");
    Ok(value)
}

fn read<T, E: Encoding<T>>(json: &str) -> Result<Presence<T>, String> {
    read_with::<T, E>(json, None)
}

/// The type's default, as the macros find it.
fn default<T: DefaultEncoding<Encoding: Encoding<T>>>(json: &str) -> Result<Presence<T>, String> {
    read::<T, T::Encoding>(json)
}

fn show<T: Debug>(result: Result<Presence<T>, String>) -> String {
    match result {
        Ok(Presence::Present(value)) => format!("{value:?}"),
        Ok(Presence::Unavailable) => "(unavailable)".to_owned(),
        Err(error) => format!("error: {error}"),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `expect!` makes it")]
fn check<T: Debug>(read: fn(&str) -> Result<Presence<T>, String>, inputs: &[&str], expected: Expect) {
    let mut shown = String::new();
    for input in inputs {
        writeln!(shown, "{input} → {}", show(read(input))).unwrap();
    }
    expected.assert_eq(&shown);
}

fn named(name: &str) -> FieldSchema {
    FieldSchema { name: Some(name.to_owned()), ..FieldSchema::default() }
}

const P: &str = "\"__debezium_unavailable_value\"";
