//! `key_schema = "file.avsc"` and `value_schema`: the file is read and checked while the macro runs.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::attr::options::Entry;
use crate::ctx::Ctx;
use crate::diag;
use crate::model::schema::SchemaFile;

/// Reads the file; `None` where something was reported.
pub(crate) fn read(ctx: &Ctx, entry: &Entry) -> Option<SchemaFile> {
    let literal = entry.string(ctx)?;
    if let Some(message) = missing_feature(entry.word().name) {
        ctx.error(&literal, message);
        return None;
    }
    let name = literal.value();
    let Some(path) = find(&name, literal.span()) else {
        let message = diag::note(
            format_args!("there is no file `{name}`"),
            "it is looked for from the crate's folder (where `Cargo.toml` is), then from this source file's",
        );
        ctx.error(&literal, diag::help(message, "write the path of an Avro schema: `schemas/order.avsc`"));
        return None;
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            ctx.error(&literal, format_args!("`{name}` cannot be read: {error}"));
            return None;
        }
    };
    match parse(&text) {
        Ok(json) => Some(SchemaFile { literal, path, json }),
        Err(why) => {
            let message = diag::note(format_args!("`{name}` is not an Avro schema"), why);
            let example = r#"{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"}]}"#;
            ctx.error(&literal, diag::help(message, format_args!("a schema looks like `{example}`")));
            None
        }
    }
}

/// What to say of Avro where the runtime is built without it.
pub(crate) fn missing_feature(what: &str) -> Option<String> {
    let message = || {
        diag::help(
            format_args!("`{what}` needs the feature `avro` of `django-kafka-rs`, which is off"),
            "enable it in `Cargo.toml`: `django-kafka-rs = { version = \"…\", features = [\"avro\"] }`",
        )
    };
    (!cfg!(feature = "avro")).then(message)
}

/// The file from the crate's folder, or from the folder of the source file.
fn find(name: &str, span: proc_macro2::Span) -> Option<PathBuf> {
    let crate_folder = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    // Outside a compiler (in our tests) a span has no file.
    let source = if proc_macro::is_available() { span.unwrap().local_file() } else { None };
    let source_folder = source.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    let found = [crate_folder, source_folder].into_iter().flatten().map(|folder| folder.join(name));
    found.into_iter().find(|path| path.is_file()).and_then(|path| std::path::absolute(path).ok())
}

fn parse(text: &str) -> Result<Value, String> {
    let json = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    #[cfg(feature = "avro")]
    apache_avro::Schema::parse(&json).map_err(|error| error.to_string())?;
    check_decimals(&json)?;
    Ok(json)
}

/// By Avro's rules a decimal that says too little is only bytes: nobody means that.
fn check_decimals(json: &Value) -> Result<(), String> {
    match json {
        Value::Array(parts) => parts.iter().try_for_each(check_decimals),
        Value::Object(members) => {
            if members.get("logicalType").is_some_and(|name| name == "decimal") {
                check_decimal(members)?;
            }
            members.iter().filter(|(name, _)| *name != "default").try_for_each(|(_, part)| check_decimals(part))
        }
        _ => Ok(()),
    }
}

fn check_decimal(members: &Map<String, Value>) -> Result<(), String> {
    let example = r#"{"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}"#;
    let number = |name: &str| members.get(name).and_then(Value::as_u64);
    let Some(precision) = number("precision").filter(|precision| *precision > 0) else {
        return Err(format!("a decimal needs `precision`, the most digits that it may have: `{example}`"));
    };
    if let Some(scale) = members.get("scale")
        && scale.as_u64().is_none_or(|scale| scale > precision)
    {
        return Err(format!("a decimal's `scale` is 0 to its `precision`, {precision}, and this one has {scale}"));
    }
    Ok(())
}
