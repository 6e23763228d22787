//! Finding the file and reading it: the one place that touches the file system.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::Settings;
use super::document::{self, ENV_FILE, ENV_PREFIX};
use super::error::{SettingsErrors, SettingsMistake, Source};
use super::read;
use super::section::Findings;

/// The file that is read where none is named.
const FILE_NAME: &str = "django-kafka.toml";

/// Where settings come from when they are loaded.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The file, as `--settings` names it. `None`: what `DJANGO_KAFKA_SETTINGS` names, else `django-kafka.toml` in
    /// the working directory if it is there.
    pub path: Option<PathBuf>,
    /// All environment variables; those that are not ours are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// What relative paths start from.
    pub working_dir: PathBuf,
    /// The paths that declarations read with `setting("…")`: keys which are known because of that.
    pub referenced: Vec<String>,
}

/// What loading remembers beside the values.
#[derive(Debug, Clone, Default)]
pub(super) struct Loaded {
    /// The value of each key as it was listed after loading, and where it was set.
    pub(super) origins: BTreeMap<String, (String, Source)>,
    /// What declarations read with `setting("…")` and is no setting of ours.
    pub(super) referenced: BTreeMap<String, (String, Source)>,
    /// The file that was read.
    pub(super) file: Option<PathBuf>,
}

impl LoadOptions {
    /// The options of this process: its environment and its working directory.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            path: None,
            environment: std::env::vars_os().collect(),
            working_dir: std::env::current_dir().unwrap_or_default(),
            referenced: Vec::new(),
        }
    }
}

impl Settings {
    /// Reads the settings file and the environment.
    ///
    /// # Errors
    /// All mistakes at once: a file that was named and cannot be read, unknown keys, wrong values, options that
    /// are not built yet.
    pub fn load(options: &LoadOptions) -> Result<Self, SettingsErrors> {
        let mut mistakes = Vec::new();
        let environment = environment_of(&options.environment, &mut mistakes);
        let file = read_file(options, &environment).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            None
        });
        let (name, text) = match &file {
            Some((path, text)) => (path.display().to_string(), text.as_str()),
            None => (FILE_NAME.to_owned(), ""),
        };
        let mut settings = match Self::parse(text, &name, &environment, &options.referenced) {
            Ok(settings) => settings,
            Err(errors) => {
                mistakes.extend_from_slice(errors.mistakes());
                Self::default()
            }
        };
        SettingsErrors::check(mistakes)?;
        settings.loaded.file = file.map(|(path, _)| path);
        Ok(settings)
    }

    /// Reads settings from the text of a file, with the environment laid over it. Touches nothing else.
    ///
    /// `file_name` stands in messages; `referenced` is as in [`LoadOptions::referenced`].
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn parse(
        text: &str,
        file_name: &str,
        environment: &[(String, String)],
        referenced: &[String],
    ) -> Result<Self, SettingsErrors> {
        let mut findings = Findings { wanted: referenced.to_vec(), ..Findings::default() };
        let table = document::read(text, file_name, environment, &mut findings.mistakes);
        let mut settings = read::settings(table, &mut findings);
        SettingsErrors::check(read::in_order(findings.mistakes))?;
        settings.loaded.referenced = findings.referenced;
        settings.loaded.origins = settings
            .listing()
            .into_iter()
            .map(|(key, value)| {
                let source = findings.sources.get(&key).cloned().unwrap_or(Source::Default);
                (key, (value, source))
            })
            .collect();
        Ok(settings)
    }

    /// The file that the settings were read from.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.loaded.file.as_deref()
    }
}

/// The variables as text. One of ours that is not is a mistake; others do not matter.
fn environment_of(all: &[(OsString, OsString)], mistakes: &mut Vec<SettingsMistake>) -> Vec<(String, String)> {
    let mut environment: Vec<(String, String)> = all
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value)))
        .filter(|(name, _)| name.starts_with("DJANGO_KAFKA_"))
        .filter_map(|(name, value)| match value.to_str() {
            Some(value) => Some((name.to_owned(), value.to_owned())),
            None => {
                let source = Source::Environment(name.into());
                mistakes.push(SettingsMistake::without_key(source, "is not UTF-8 text"));
                None
            }
        })
        .collect();
    // The process's order is nobody's; messages should not change with it.
    environment.sort();
    environment
}

fn read_file(
    options: &LoadOptions,
    environment: &[(String, String)],
) -> Result<Option<(PathBuf, String)>, SettingsMistake> {
    let variable = environment.iter().find(|(name, value)| name == ENV_FILE && !value.is_empty());
    let (path, named_by) = match (&options.path, variable) {
        (Some(path), _) => (path.clone(), Some(Source::Default)),
        (None, Some((name, value))) => (PathBuf::from(value), Some(Source::Environment(name.as_str().into()))),
        (None, None) => (PathBuf::from(FILE_NAME), None),
    };
    match (std::fs::read(options.working_dir.join(&path)), named_by) {
        (Ok(bytes), _) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some((path, text))),
            Err(error) => {
                let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|b| *b == b'\n').count();
                let source = Source::File { name: path.display().to_string().into(), line };
                Err(SettingsMistake::without_key(source, "is not UTF-8 text"))
            }
        },
        (Err(error), None) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        (Err(error), named_by) => {
            let remedy = if error.kind() == io::ErrorKind::NotFound {
                format!("check the path, or leave it out to run with the defaults and `{ENV_PREFIX}…` variables")
            } else {
                "check its permissions".to_owned()
            };
            let message = format!("the settings file `{}` cannot be read ({error}): {remedy}", path.display());
            Err(SettingsMistake::without_key(named_by.unwrap_or(Source::Default), message))
        }
    }
}

/// What `settings(…)` of the application takes: settings, or the path of a file.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum SettingsSource {
    /// The usual file, and the environment.
    #[default]
    Search,
    /// This file, and the environment.
    File(PathBuf),
    /// These, as they are.
    Ready(Box<Settings>),
}

impl From<Settings> for SettingsSource {
    fn from(settings: Settings) -> Self {
        Self::Ready(Box::new(settings))
    }
}

impl From<PathBuf> for SettingsSource {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&Path> for SettingsSource {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&str> for SettingsSource {
    fn from(path: &str) -> Self {
        Self::File(PathBuf::from(path))
    }
}

impl From<String> for SettingsSource {
    fn from(path: String) -> Self {
        Self::File(PathBuf::from(path))
    }
}

impl SettingsSource {
    /// The settings, loaded if they are not ready. A path in `options` (the command line's) goes before whatever
    /// the program gave.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn resolve(self, mut options: LoadOptions) -> Result<Settings, SettingsErrors> {
        match self {
            Self::Ready(settings) if options.path.is_none() => return Ok(*settings),
            Self::File(path) if options.path.is_none() => options.path = Some(path),
            _ => {}
        }
        Settings::load(&options)
    }
}
