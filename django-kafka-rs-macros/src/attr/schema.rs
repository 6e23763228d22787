//! `key_schema = "file.avsc"` and `value_schema`: the file is read and checked while the macro runs.

use std::path::{Path, PathBuf};

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

fn parse(text: &str) -> Result<serde_json::Value, String> {
    let json = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    #[cfg(feature = "avro")]
    apache_avro::Schema::parse(&json).map_err(|error| error.to_string())?;
    Ok(json)
}
