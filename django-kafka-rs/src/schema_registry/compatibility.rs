//! The one question that the library's client does not ask: whether a schema would be taken.

use reqwest::StatusCode;

use super::SchemaError;
use super::client::with_causes;
use crate::settings::SchemaRegistrySettings;

/// What asking needs.
#[derive(Debug)]
pub(super) struct Asker {
    http: reqwest::Client,
    urls: Vec<String>,
    basic_auth: Option<(String, String)>,
    bearer_token: Option<String>,
}

#[derive(serde::Deserialize)]
struct Answer {
    is_compatible: bool,
}

/// A registry's own error.
#[derive(serde::Deserialize)]
struct Refusal {
    error_code: u32,
}

impl Asker {
    pub(super) fn new(http: reqwest::Client, urls: &[&str], settings: &SchemaRegistrySettings) -> Self {
        Self {
            http,
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            basic_auth: settings.credentials().map(|(user, password)| (user.to_owned(), password.to_owned())),
            bearer_token: settings.bearer_auth_token.clone(),
        }
    }

    /// Whether the registry would take the schema as the subject's next; `None` where the subject has none yet.
    pub(super) async fn is_compatible(&self, subject: &str, text: &str) -> Result<Option<bool>, SchemaError> {
        let mut last = "no address is set".to_owned();
        for url in &self.urls {
            let subject = subject.replace('/', "%2F");
            let request = self.http.post(format!("{url}/compatibility/subjects/{subject}/versions/latest"));
            let request = request.json(&serde_json::json!({ "schema": text, "schemaType": "AVRO" }));
            let request = match (&self.basic_auth, &self.bearer_token) {
                (Some((user, password)), _) => request.basic_auth(user, Some(password)),
                (None, Some(token)) => request.bearer_auth(token),
                (None, None) => request,
            };
            match request.send().await {
                Ok(answer) if answer.status() == StatusCode::NOT_FOUND => match answer.json::<Refusal>().await {
                    Ok(Refusal { error_code: 1.. }) => return Ok(None),
                    // Another service, or a wrong path.
                    _ => "it answers 404, but not as a registry does; is the path in the address right?"
                        .clone_into(&mut last),
                },
                Ok(answer) if answer.status().is_success() => match answer.json::<Answer>().await {
                    Ok(answer) => return Ok(Some(answer.is_compatible)),
                    Err(error) => last = with_causes(&error.without_url()),
                },
                Ok(answer) if answer.status() == StatusCode::UNPROCESSABLE_ENTITY => {
                    let why = answer.text().await.unwrap_or_default();
                    return Err(SchemaError::Wrong(format!("it is no schema that the registry takes: {why}")));
                }
                Ok(answer) => last = format!("it answers {}", answer.status()),
                Err(error) => last = with_causes(&error.without_url()),
            }
        }
        Err(SchemaError::Away(format!("asking the schema registry about `{subject}`: {last}")))
    }
}
