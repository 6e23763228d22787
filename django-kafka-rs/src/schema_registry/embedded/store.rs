//! Subjects, versions and ids (pure), as Confluent's registry gives them out.

use std::collections::BTreeMap;

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use serde_json::{Value, json};

/// Why a request was refused, in the registry's own numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    code: u32,
    message: String,
}

impl Refusal {
    fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn unreadable(why: &str) -> Self {
        Self::new(42201, format!("Invalid request: {why}"))
    }

    pub(super) fn no_such_place() -> Self {
        Self::new(404, "HTTP 404 Not Found")
    }

    fn no_subject(subject: &str) -> Self {
        Self::new(40401, format!("Subject '{subject}' not found."))
    }

    pub(super) fn status(&self) -> u16 {
        let status = if self.code >= 10_000 { self.code / 100 } else { self.code };
        u16::try_from(status).unwrap_or(500)
    }

    pub(super) fn json(&self) -> Value {
        json!({ "error_code": self.code, "message": self.message })
    }
}

/// Which changes of a subject's schema are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compatibility {
    None,
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
}

const LEVELS: [(&str, Compatibility); 7] = [
    ("NONE", Compatibility::None),
    ("BACKWARD", Compatibility::Backward),
    ("BACKWARD_TRANSITIVE", Compatibility::BackwardTransitive),
    ("FORWARD", Compatibility::Forward),
    ("FORWARD_TRANSITIVE", Compatibility::ForwardTransitive),
    ("FULL", Compatibility::Full),
    ("FULL_TRANSITIVE", Compatibility::FullTransitive),
];

impl Compatibility {
    fn word(self) -> &'static str {
        LEVELS.iter().find(|(_, level)| *level == self).map_or("NONE", |(word, _)| word)
    }

    /// Whether `new` may follow `old`.
    fn allows(self, old: &Schema, new: &Schema) -> bool {
        let backward = || SchemaCompatibility::can_read(old, new).is_ok();
        let forward = || SchemaCompatibility::can_read(new, old).is_ok();
        match self {
            Self::None => true,
            Self::Backward | Self::BackwardTransitive => backward(),
            Self::Forward | Self::ForwardTransitive => forward(),
            Self::Full | Self::FullTransitive => backward() && forward(),
        }
    }

    fn looks_at_all(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }
}

#[derive(Debug)]
struct Stored {
    text: String,
    /// For comparing: texts that differ in white space and in the order of keys are one schema.
    json: Value,
    references: Value,
}

#[derive(Debug, Default)]
struct Subject {
    /// The id of each version; a deleted one has none.
    versions: Vec<Option<u32>>,
    compatibility: Option<Compatibility>,
}

/// All schemas.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// By id, from 1.
    schemas: Vec<Stored>,
    subjects: BTreeMap<String, Subject>,
    compatibility: Option<Compatibility>,
}

impl Store {
    pub(super) fn subjects(&self) -> Value {
        let live = self.subjects.iter().filter(|(_, subject)| subject.versions.iter().any(Option::is_some));
        live.map(|(name, _)| Value::from(name.as_str())).collect()
    }

    pub(super) fn by_id(&self, id: &str) -> Result<Value, Refusal> {
        let stored = id.parse().ok().and_then(|id: u32| self.stored(id));
        let stored = stored.ok_or_else(|| Refusal::new(40403, format!("Schema {id} not found")))?;
        let mut answer = json!({ "schema": stored.text });
        if stored.references.as_array().is_some_and(|references| !references.is_empty()) {
            answer["references"] = stored.references.clone();
        }
        Ok(answer)
    }

    pub(super) fn versions(&self, subject: &str) -> Result<Value, Refusal> {
        Ok(self.live(subject)?.iter().map(|(version, _)| Value::from(*version)).collect())
    }

    pub(super) fn version(&self, subject: &str, version: &str) -> Result<Value, Refusal> {
        let live = self.live(subject)?;
        let found = match version {
            "latest" | "-1" => live.last(),
            number => live.iter().find(|(version, _)| version.to_string() == number),
        };
        let (version, id) = found.ok_or_else(|| Refusal::new(40402, format!("Version {version} not found.")))?;
        Ok(self.describe(subject, *version, *id))
    }

    pub(super) fn register(&mut self, subject: &str, body: &Value) -> Result<Value, Refusal> {
        let (text, json, schema) = self.read(body)?;
        if let Ok(found) = self.find(subject, body) {
            return Ok(json!({ "id": found["id"] }));
        }
        let level = self.level(subject);
        let live = self.live(subject).unwrap_or_default();
        let looked_at = if level.looks_at_all() { 0 } else { live.len().saturating_sub(1) };
        for (version, id) in &live[looked_at..] {
            if self.schema(*id).is_some_and(|old| !level.allows(&old, &schema)) {
                let message = format!(
                    "Schema being registered is incompatible with an earlier schema for subject \"{subject}\" \
                     (version {version}, compatibility {})",
                    level.word()
                );
                return Err(Refusal::new(409, message));
            }
        }
        let references = body.get("references").cloned().unwrap_or_else(|| json!([]));
        let known = self.schemas.iter().position(|stored| stored.json == json && stored.references == references);
        let index = known.unwrap_or_else(|| {
            self.schemas.push(Stored { text, json, references });
            self.schemas.len() - 1
        });
        let id = u32::try_from(index + 1).map_err(|_| Refusal::new(50001, "too many schemas"))?;
        self.subjects.entry(subject.to_owned()).or_default().versions.push(Some(id));
        Ok(json!({ "id": id }))
    }

    pub(super) fn find(&self, subject: &str, body: &Value) -> Result<Value, Refusal> {
        let (_, json, _) = self.read(body)?;
        let live = self.live(subject)?;
        let found = live.iter().find(|(_, id)| self.stored(*id).is_some_and(|stored| stored.json == json));
        let (version, id) = found.ok_or_else(|| Refusal::new(40403, "Schema not found"))?;
        Ok(self.describe(subject, *version, *id))
    }

    pub(super) fn delete(&mut self, subject: &str, permanent: bool) -> Result<Value, Refusal> {
        let versions = self.versions(subject);
        if permanent && self.subjects.remove(subject).is_some() {
            return Ok(versions.unwrap_or_else(|_| json!([])));
        }
        let versions = versions?;
        if let Some(found) = self.subjects.get_mut(subject) {
            found.versions.fill(None);
        }
        Ok(versions)
    }

    pub(super) fn is_compatible(&self, subject: &str, version: &str, body: &Value) -> Result<Value, Refusal> {
        let (_, _, schema) = self.read(body)?;
        let id = self.version(subject, version)?["id"].as_u64().and_then(|id| u32::try_from(id).ok());
        let old = id.and_then(|id| self.schema(id)).ok_or_else(|| Refusal::new(40402, "Version not found."))?;
        Ok(json!({ "is_compatible": self.level(subject).allows(&old, &schema) }))
    }

    pub(super) fn compatibility(&self, subject: Option<&str>) -> Value {
        let level = subject.map_or(self.compatibility.unwrap_or(Compatibility::Backward), |name| self.level(name));
        json!({ "compatibilityLevel": level.word() })
    }

    pub(super) fn set_compatibility(&mut self, subject: Option<&str>, body: &Value) -> Result<Value, Refusal> {
        let word = body.get("compatibility").and_then(Value::as_str).unwrap_or_default();
        let level = LEVELS.iter().find(|(known, _)| *known == word).map(|(_, level)| *level);
        let level = level.ok_or_else(|| Refusal::new(42203, format!("Invalid compatibility level: {word}")))?;
        match subject {
            Some(name) => self.subjects.entry(name.to_owned()).or_default().compatibility = Some(level),
            None => self.compatibility = Some(level),
        }
        Ok(json!({ "compatibility": level.word() }))
    }

    fn level(&self, subject: &str) -> Compatibility {
        let own = self.subjects.get(subject).and_then(|subject| subject.compatibility);
        own.or(self.compatibility).unwrap_or(Compatibility::Backward)
    }

    /// The versions that are not deleted, with their ids.
    fn live(&self, subject: &str) -> Result<Vec<(u32, u32)>, Refusal> {
        let versions = self.subjects.get(subject).map(|subject| &subject.versions);
        let live: Vec<(u32, u32)> =
            versions.into_iter().flatten().zip(1..).filter_map(|(id, version)| id.map(|id| (version, id))).collect();
        if live.is_empty() { Err(Refusal::no_subject(subject)) } else { Ok(live) }
    }

    fn stored(&self, id: u32) -> Option<&Stored> {
        self.schemas.get(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    fn describe(&self, subject: &str, version: u32, id: u32) -> Value {
        let text = self.stored(id).map_or("", |stored| stored.text.as_str());
        let mut answer = json!({ "subject": subject, "version": version, "id": id, "schema": text });
        if let Some(references) = self.stored(id).map(|stored| &stored.references)
            && references.as_array().is_some_and(|references| !references.is_empty())
        {
            answer["references"] = references.clone();
        }
        answer
    }

    fn schema(&self, id: u32) -> Option<Schema> {
        let stored = self.stored(id)?;
        self.parse(&stored.text, &stored.references).ok()
    }

    /// A request's schema: its text, the same as JSON, and parsed.
    fn read(&self, body: &Value) -> Result<(String, Value, Schema), Refusal> {
        let kind = body.get("schemaType").and_then(Value::as_str).unwrap_or("AVRO");
        let text = body.get("schema").and_then(Value::as_str);
        let (Some(text), "AVRO") = (text, kind) else {
            return Err(Refusal::new(42201, "Invalid schema: only Avro is kept here"));
        };
        let references = body.get("references").cloned().unwrap_or_else(|| json!([]));
        let schema =
            self.parse(text, &references).map_err(|why| Refusal::new(42201, format!("Invalid schema: {why}")))?;
        let json = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        Ok((text.to_owned(), json, schema))
    }

    fn parse(&self, text: &str, references: &Value) -> Result<Schema, String> {
        let mut others = Vec::new();
        for reference in references.as_array().into_iter().flatten() {
            let subject = reference["subject"].as_str().unwrap_or_default();
            let found = self.version(subject, &reference["version"].to_string()).map_err(|refusal| refusal.message)?;
            others.push(found["schema"].as_str().unwrap_or_default().to_owned());
        }
        let parsed = Schema::parse_str_with_list(text, &others).map_err(|error| error.to_string())?;
        Ok(parsed.0)
    }
}
