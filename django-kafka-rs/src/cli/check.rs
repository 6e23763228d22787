//! What `check` found.

use super::exit::Exit;
use super::table::align;
use crate::settings::EffectiveSetting;

/// The findings of a check, in the order in which they were looked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct CheckReport {
    findings: Vec<(&'static str, Finding)>,
    settings: Vec<EffectiveSetting>,
}

/// How one thing stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It is as it should be; how, in a few words.
    Ok(String),
    /// It works, but may surprise; what to do.
    Warning(String),
    /// It does not work; what to do. Several lines are several mistakes.
    Failed { exit: Exit, message: String },
    /// It was not looked at, because of something above.
    Skipped(String),
}

impl CheckReport {
    /// Adds how one thing stands: `settings`, `broker`, `database`, …
    pub(crate) fn add(&mut self, what: &'static str, finding: Finding) {
        self.findings.push((what, finding));
    }

    /// Sets the settings in effect.
    pub(crate) fn set_settings(&mut self, settings: Vec<EffectiveSetting>) {
        self.settings = settings;
    }

    /// 0 where nothing failed, else the first failure's code.
    pub(crate) fn exit(&self) -> Exit {
        let failed = self.findings.iter().find_map(|(_, finding)| match finding {
            Finding::Failed { exit, .. } => Some(*exit),
            _ => None,
        });
        failed.unwrap_or(Exit::Done)
    }

    /// One line for each finding, then the settings, then the result.
    pub(super) fn render(&self) -> String {
        let mut rows = Vec::new();
        for (what, finding) in &self.findings {
            let (word, text) = match finding {
                Finding::Ok(text) => ("ok", text),
                Finding::Warning(text) => ("warning", text),
                Finding::Failed { message, .. } => ("FAILED", message),
                Finding::Skipped(text) => ("skipped", text),
            };
            for (index, line) in text.lines().enumerate() {
                let [word, what] = if index == 0 { [word, what] } else { ["", ""] };
                rows.push([word.to_owned(), what.to_owned(), line.to_owned()]);
            }
        }
        let mut text = align(&rows);
        if !self.settings.is_empty() {
            text.push_str("\nSettings in effect:\n");
            let rows: Vec<[String; 3]> = self.settings.iter().map(setting_row).collect();
            text.push_str(&align(&rows));
        }
        text.push('\n');
        text.push_str(&self.conclusion());
        text
    }

    fn conclusion(&self) -> String {
        let count = |wanted: fn(&Finding) -> bool| self.findings.iter().filter(|(_, f)| wanted(f)).count();
        let failed = count(|finding| matches!(finding, Finding::Failed { .. }));
        let warnings = count(|finding| matches!(finding, Finding::Warning(_)));
        match (failed, warnings) {
            (0, 0) => "everything is ready\n".to_owned(),
            (0, n) => format!("ready, with {}\n", counted(n, "warning")),
            (n, _) => format!("not ready: {} above\n", counted(n, "failure")),
        }
    }
}

/// `1 warning`, `2 warnings`.
pub(crate) fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn setting_row(setting: &EffectiveSetting) -> [String; 3] {
    let value = if setting.value.is_empty() { "(not set)" } else { setting.value.as_str() };
    [format!("  {}", setting.key), value.to_owned(), setting.source.to_string()]
}
