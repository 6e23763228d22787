//! Messages as Kafka Connect wrote them; `examples/data/README.md` says which and how they were captured.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::ExampleResult;

/// A captured message: its bytes, untouched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The key's bytes; `None` is a null key.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// A line of a capture; key and value are base64.
#[derive(Deserialize)]
struct Line {
    key: Option<String>,
    value: Option<String>,
}

/// Reads the messages of `examples/data/{name}.jsonl`, in the order of their partition.
///
/// # Errors
/// The file is not there, or a line of it is not a captured message.
pub fn captured(name: &str) -> ExampleResult<Vec<Captured>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name).with_extension("jsonl");
    let lines = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    lines.lines().map(message).collect()
}

fn message(line: &str) -> ExampleResult<Captured> {
    let line: Line = serde_json::from_str(line)?;
    let bytes = |text: Option<String>| text.map(|t| STANDARD.decode(t)).transpose();
    Ok(Captured { key: bytes(line.key)?, value: bytes(line.value)? })
}

#[cfg(test)]
mod tests {
    use super::captured;

    #[test]
    fn every_capture_is_read() {
        let counts = [
            ("smoke_json", 11),
            ("smoke_json_string", 14),
            ("smoke_json_schema", 11),
            ("smoke_envelope", 14),
            ("smoke_reroute", 6),
            ("smoke_reroute_short", 6),
            ("smoke_reroute_plain", 6),
        ];
        for (name, count) in counts {
            assert_eq!(captured(name).unwrap().len(), count, "{name}");
        }
    }
}
