//! The schema registry: the subjects of this run, removed at its end.

use std::cell::RefCell;

use serde_json::{Value, json};

use crate::{Failure, address};

pub(crate) struct Registry {
    url: String,
    subjects: RefCell<Vec<String>>,
    http: Http,
}

impl Registry {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self { url: address("SCHEMA_REGISTRY_URL")?, subjects: RefCell::default(), http: Http::new()? })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The schema's id.
    pub(crate) fn register(&self, subject: &str, schema: &str) -> Result<u32, Failure> {
        let url = format!("{}/subjects/{subject}/versions", self.url);
        let answer = self.http.ask(reqwest::Method::POST, &url, Some(&json!({ "schema": schema })))?;
        self.subjects.borrow_mut().push(subject.to_owned());
        let id = answer["id"].as_u64().ok_or_else(|| format!("{subject}: the registry gave no id: {answer}"))?;
        Ok(u32::try_from(id)?)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        for subject in self.subjects.take() {
            let url = format!("{}/subjects/{subject}", self.url);
            let removed = self
                .http
                .ask(reqwest::Method::DELETE, &url, None)
                .and_then(|_| self.http.ask(reqwest::Method::DELETE, &format!("{url}?permanent=true"), None));
            if let Err(error) = removed {
                eprintln!("bench: the subject {subject} is left: {error}");
            }
        }
    }
}

/// The schema of this id.
pub(crate) fn schema(registry: &str, id: u32) -> Result<String, Failure> {
    let answer = Http::new()?.ask(reqwest::Method::GET, &format!("{registry}/schemas/ids/{id}"), None)?;
    Ok(answer["schema"].as_str().ok_or_else(|| format!("the registry has no schema {id}: {answer}"))?.to_owned())
}

/// One request after the other.
pub(crate) struct Http {
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Http {
    pub(crate) fn new() -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { client: reqwest::Client::new(), runtime })
    }

    /// What is answered, if anything; an error unless it is a success.
    pub(crate) fn ask(&self, method: reqwest::Method, url: &str, body: Option<&Value>) -> Result<Value, Failure> {
        self.runtime.block_on(async {
            let mut request = self.client.request(method, url);
            if let Some(body) = body {
                request = request.json(body);
            }
            let response = request.send().await?;
            let status = response.status();
            let text = response.text().await?;
            if !status.is_success() {
                return Err(format!("{url}: {status}: {text}").into());
            }
            Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
        })
    }
}
