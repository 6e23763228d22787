//! What users may write and what they may not: each file under `ui/<macro>/pass` compiles, each under
//! `ui/<macro>/fail` fails with exactly the messages beside it. `TRYBUILD=overwrite` takes new messages over; read
//! them as prose before they are committed.

use std::collections::BTreeSet;

#[test]
fn messages_are_what_a_newcomer_can_act_on() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/*/pass/*.rs");
    cases.compile_fail("ui/*/fail/*.rs");
}

#[test]
fn the_readme_says_which_rule_each_case_is_about() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).expect("the table of rules");
    let listed: BTreeSet<&str> = readme.split('`').skip(1).step_by(2).filter(|words| words.contains('/')).collect();
    let entries = |path: &std::path::Path| {
        let entries = std::fs::read_dir(path).into_iter().flatten();
        entries.map(|entry| entry.expect("a folder that can be read").path()).collect::<Vec<_>>()
    };
    let name = |path: &std::path::Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut missing = Vec::new();
    let mut found = BTreeSet::new();
    for folder in entries(&root.join("ui")) {
        let cases =
            entries(&folder.join("fail")).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
        for case in cases.map(|path| format!("{}/{}", name(&folder), name(&path))) {
            if !listed.contains(case.as_str()) {
                missing.push(case.clone());
            }
            found.insert(case);
        }
    }
    assert!(found.len() > 100, "only {} cases were found", found.len());
    assert!(missing.is_empty(), "README.md does not list {missing:?}");
    let gone = listed.iter().filter(|words| !words.starts_with("ui/") && !found.contains(**words)).collect::<Vec<_>>();
    assert!(gone.is_empty(), "README.md lists {gone:?}, which are not there");
}
