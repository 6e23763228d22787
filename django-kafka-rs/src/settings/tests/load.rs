//! Finding the settings file.

use std::path::PathBuf;

use expect_test::expect;

use super::super::*;
use super::render;

fn load(options: &LoadOptions) -> String {
    render(Settings::load(options))
}

#[test]
fn files_are_found_by_argument_then_variable_then_place() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, id: &str| {
        std::fs::write(dir.path().join(name), format!("client_id = \"{id}\"")).expect("the file is written");
    };
    write("django-kafka.toml", "place");
    write("by-variable.toml", "variable");
    write("by-argument.toml", "argument");
    let mut options = LoadOptions { working_dir: dir.path().to_owned(), ..LoadOptions::default() };
    expect!["client_id = place (django-kafka.toml:1)"].assert_eq(&load(&options));
    options.environment.push(("DJANGO_KAFKA_SETTINGS".into(), "by-variable.toml".into()));
    expect!["client_id = variable (by-variable.toml:1)"].assert_eq(&load(&options));
    options.path = Some(PathBuf::from("by-argument.toml"));
    expect!["client_id = argument (by-argument.toml:1)"].assert_eq(&load(&options));
    let resolved = SettingsSource::from("by-variable.toml").resolve(options.clone()).expect("the file is right");
    assert_eq!(resolved.client_id, "argument");
    assert_eq!(resolved.file(), Some(std::path::Path::new("by-argument.toml")));
    std::fs::write(dir.path().join("by-argument.toml"), b"client_id = 1\n\xff").expect("the file is written");
    expect!["by-argument.toml:2: is not UTF-8 text"].assert_eq(&load(&options));
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut options = LoadOptions { working_dir: dir.path().to_owned(), ..LoadOptions::default() };
    expect![[r""]].assert_eq(&load(&options));
    options.environment.push(("DJANGO_KAFKA_SETTINGS".into(), "missing.toml".into()));
    options.environment.push(("DJANGO_KAFKA__BATCH__MAX".into(), "x".into()));
    expect![[r#"
        2 mistakes in the settings:
          environment variable DJANGO_KAFKA_SETTINGS: the settings file `missing.toml` cannot be read (No such file or directory (os error 2)): check the path, or leave it out to run with the defaults and `DJANGO_KAFKA__…` variables
          environment variable DJANGO_KAFKA__BATCH__MAX: `batch.max`: expected an integer from 1 to 1000000, found "x""#]].assert_eq(&load(&options));
}
