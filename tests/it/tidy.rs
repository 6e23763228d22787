//! What no compiler checks: rules about the code base itself. Each test names all its faults at once.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Longer than this, a file has more than one subject.
const FILE_LINES_MAX: usize = 600;
const README_LINES_MAX: usize = 250;

/// Files that may be longer, each with why.
const LONG_FILES: &[(&str, &str)] =
    &[("django-kafka-rs/src/settings/tests.rs", "every error text of the settings, in full")];

/// This file speaks of what it forbids.
const SELF: &str = "tests/it/tidy.rs";

struct SourceFile {
    /// Relative to the workspace, with `/`.
    path: String,
    text: String,
}

impl SourceFile {
    /// Numbered lines.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, line)| (i + 1, line))
    }

    /// The lines that run in tests only: everything under a `tests` folder, else what follows `#[cfg(test)]`, which
    /// stands last in a file by custom.
    fn test_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let from = if self.path.split('/').any(|part| matches!(part, "tests" | "ui-tests" | "it")) {
            0
        } else {
            self.lines().find(|(_, line)| line.trim() == "#[cfg(test)]").map_or(usize::MAX, |(n, _)| n)
        };
        self.lines().filter(move |(n, _)| *n > from)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every text file that belongs to the project.
fn files(extensions: &[&str]) -> Vec<SourceFile> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                if !["target", ".git", "wip"].iter().any(|skip| name == *skip) {
                    folders.push(path);
                }
            } else if extensions.iter().any(|extension| path.extension().is_some_and(|e| e == *extension)) {
                let relative = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
                found.push(SourceFile { path: relative, text: std::fs::read_to_string(&path).unwrap() });
            }
        }
    }
    assert!(found.len() > 1, "the walk found nothing: is {} the workspace?", root().display());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn report(rule: &str, faults: &[String]) {
    let mut text = String::new();
    for fault in faults {
        writeln!(text, "  {fault}").unwrap();
    }
    assert!(faults.is_empty(), "{rule}:\n{text}");
}

fn lines_with(file: &SourceFile, words: &[&str]) -> Vec<String> {
    let found = file.lines().filter(|(_, line)| words.iter().any(|word| line.contains(word)));
    found.map(|(n, line)| format!("{}:{n}: {}", file.path, line.trim())).collect()
}

#[test]
fn no_test_is_ignored() {
    let faults: Vec<_> = files(&["rs"])
        .iter()
        .filter(|file| file.path != SELF)
        .flat_map(|file| lines_with(file, &["#[ignore", "#[cfg_attr(ci, ignore"]))
        .collect();
    report("a test that does not run proves nothing: make it run, or delete it", &faults);
}

#[test]
fn nothing_is_left_to_do() {
    let faults: Vec<_> = files(&["rs"])
        .iter()
        .filter(|file| file.path != SELF)
        .flat_map(|file| lines_with(file, &["todo!(", "unimplemented!("]))
        .collect();
    report("a stub that compiles looks like a feature: build it, or refuse the option", &faults);
}

#[test]
fn no_test_sleeps() {
    let sleeps = ["thread::sleep", "time::sleep"];
    let mut faults = Vec::new();
    for file in files(&["rs"]).iter().filter(|file| file.path != SELF) {
        let found = file.test_lines().filter(|(_, line)| sleeps.iter().any(|sleep| line.contains(sleep)));
        faults.extend(found.map(|(n, line)| format!("{}:{n}: {}", file.path, line.trim())));
    }
    report("a test waits for a condition with a deadline, never for a time", &faults);
}

#[test]
fn files_have_one_subject() {
    let mut faults = Vec::new();
    for file in files(&["rs"]) {
        let excused = LONG_FILES.iter().any(|(path, _)| *path == file.path);
        let lines = file.lines().count();
        if lines > FILE_LINES_MAX && !excused {
            faults.push(format!("{}: {lines} lines; the limit is {FILE_LINES_MAX}", file.path));
        }
        if lines <= FILE_LINES_MAX && excused {
            faults.push(format!("{}: {lines} lines; it needs no exception any more", file.path));
        }
    }
    report("split along the subjects, or add an exception with its reason to LONG_FILES", &faults);
}

#[test]
fn nothing_speaks_of_one_machine() {
    // In two parts, so that this file does not find itself.
    let paths = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let extensions = ["rs", "md", "toml", "sql", "txt", "stderr", "json", "jsonl", "yml", "yaml"];
    let faults: Vec<_> = files(&extensions).iter().flat_map(|file| lines_with(file, &paths)).collect();
    report("a path of the machine it was written on helps nobody else", &faults);
}

/// The words that macro attributes take, as `symbol.rs` lists them: `word(NAME, "…")`, with `const NAME: &str = "name"`.
fn attribute_words(symbols: &str) -> BTreeSet<&str> {
    let constant = |identifier: &str| {
        let definition = format!("const {identifier}: &str = \"");
        symbols.split_once(&definition).and_then(|(_, rest)| rest.split('"').next())
    };
    let identifiers = symbols.split("word(").skip(1).filter_map(|rest| rest.split(',').next()).map(str::trim);
    identifiers.filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_')).filter_map(constant).collect()
}

/// The words inside the document's code: between backticks, and in fenced blocks.
fn code_words(document: &str) -> BTreeSet<&str> {
    let code = document.split('`').skip(1).step_by(2);
    code.flat_map(|span| span.split(|c: char| !c.is_alphanumeric() && c != '_')).collect()
}

#[test]
fn the_reference_lists_every_attribute_word() {
    let symbols = root().join("django-kafka-rs-macros/src/symbol.rs");
    let symbols = std::fs::read_to_string(symbols).unwrap();
    let words = attribute_words(&symbols);
    assert!(words.contains("max_retries") && words.contains("lookup"), "symbol.rs is not read as it is written");
    let documents = files(&["md"]);
    let reference: BTreeSet<_> = documents
        .iter()
        .filter(|file| file.path.starts_with("django-kafka-rs-macros/docs/"))
        .flat_map(|file| code_words(&file.text))
        .collect();
    let faults: Vec<_> = words.difference(&reference).map(|word| format!("`{word}`")).collect();
    report("words that no page of django-kafka-rs-macros/docs explains", &faults);
}

#[test]
fn the_readme_stays_short() {
    let lines = std::fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= README_LINES_MAX, "README.md has {lines} lines, more than {README_LINES_MAX}: move to a guide");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut faults = Vec::new();
    for file in files(&["md"]) {
        let folder = root().join(&file.path).parent().unwrap().to_owned();
        for (n, line) in file.lines() {
            for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let path = target.split('#').next().unwrap_or_default();
                let local = !path.is_empty() && !path.contains(':') && path.contains(['.', '/']);
                // Intra-doc links such as `crate::Topic` are rustdoc's to check.
                if local && !path.contains("::") && !folder.join(path).exists() {
                    faults.push(format!("{}:{n}: {target}", file.path));
                }
            }
        }
    }
    report("links to files that are not there", &faults);
}
