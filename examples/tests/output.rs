//! Each example runs, ends well, and prints what its file in `expected/` holds.
//! `UPDATE_EXPECT=1 cargo test -p django-kafka-rs-examples` takes over what they print now.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use expect_test::{ExpectFile, expect_file};

/// The binary that cargo built beside this test.
fn binary(example: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a running test has a path");
    let profile = this.ancestors().nth(2).expect("tests are built in `target/<profile>/deps`");
    let path = profile.join("examples").join(example).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "the example `{example}` is not built: run all tests of the package, `cargo test -p django-kafka-rs-examples`"
    );
    path
}

fn prints(example: &str, expected: &ExpectFile) {
    // A folder of its own: an example must not pick up a settings file, nor leave files behind.
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(binary(example)).current_dir(&folder).stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{example}` ended with {}; it said:\n{stderr}", output.status);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "`{example}` left files in the working directory");
    expected.assert_eq(&String::from_utf8(output.stdout).unwrap());
}

#[test]
fn quickstart() {
    prints("quickstart", &expect_file!["../expected/quickstart.txt"]);
}

#[test]
fn custom_topic() {
    prints("custom_topic", &expect_file!["../expected/custom_topic.txt"]);
}

#[test]
fn orders_before_customers() {
    prints("orders_before_customers", &expect_file!["../expected/orders_before_customers.txt"]);
}

#[test]
fn reproducer() {
    prints("reproducer", &expect_file!["../expected/reproducer.txt"]);
}

#[test]
fn reroute() {
    prints("reroute", &expect_file!["../expected/reroute.txt"]);
}

#[test]
fn transforms() {
    prints("transforms", &expect_file!["../expected/transforms.txt"]);
}
