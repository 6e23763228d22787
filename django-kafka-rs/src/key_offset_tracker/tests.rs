//! The table on both databases.

use super::decide::{Latest, Seen};
use super::store::{note, read};
use crate::db::{Database, DatabaseSettings, migrations};

fn seen<'k>(key: &'k str, offset: i64, ms: Option<i64>) -> Seen<'k> {
    Seen { key: key.as_bytes(), offset, create_ms: ms, log_append_ms: None }
}

/// Runs `test` on a database that has the table.
fn on_each(test: impl Fn(&Database)) {
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.sqlite3");
        let database = Database::open(&DatabaseSettings::new(path.to_str().unwrap())).unwrap();
        migrations::run(&database, None).unwrap();
        test(&database);
    }
    #[cfg(feature = "postgres")]
    if let Some(schema) = crate::db::scratch::Scratch::new() {
        let database = Database::open(&DatabaseSettings::new(schema.url())).unwrap();
        migrations::run(&database, None).unwrap();
        test(&database);
    }
}

fn rows(database: &Database, topic: &str, keys: &[&str]) -> Vec<(String, i32, i64)> {
    let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
    let mut conn = database.writer().unwrap();
    let mut rows: Vec<_> = read(&mut conn, topic, &keys)
        .unwrap()
        .into_iter()
        .map(|(key, Latest { partition, offset })| (String::from_utf8(key).unwrap(), partition, offset))
        .collect();
    rows.sort();
    rows
}

#[test]
fn offsets_never_go_back_in_their_partition() {
    on_each(|database| {
        let mut conn = database.writer().unwrap();
        assert_eq!(note(&mut conn, "t", 0, &[seen("a", 5, Some(1)), seen("b", 6, None)], None).unwrap(), 2);
        assert_eq!(note(&mut conn, "t", 0, &[seen("a", 3, Some(9)), seen("b", 7, Some(2))], None).unwrap(), 1);
        assert_eq!(note(&mut conn, "u", 0, &[seen("a", 1, None)], None).unwrap(), 1);
        drop(conn);
        assert_eq!(rows(database, "t", &["a", "b", "c"]), [("a".into(), 0, 5), ("b".into(), 0, 7)]);
        assert_eq!(rows(database, "u", &["a"]), [("a".into(), 0, 1)], "each topic has its own");
    });
}

#[test]
fn offsets_beyond_the_partitions_end_begin_anew() {
    on_each(|database| {
        let mut conn = database.writer().unwrap();
        note(&mut conn, "t", 0, &[seen("old", i64::MAX - 1, None), seen("kept", 3, None)], None).unwrap();
        // The topic was created anew: it has five messages.
        let again = [seen("kept", 1, None), seen("old", 2, None)];
        assert_eq!(note(&mut conn, "t", 0, &again, None).unwrap(), 0);
        assert_eq!(note(&mut conn, "t", 0, &again, Some(5)).unwrap(), 1);
        drop(conn);
        assert_eq!(rows(database, "t", &["old", "kept"]), [("kept".into(), 0, 3), ("old".into(), 0, 2)]);
    });
}

#[test]
fn a_key_that_changes_its_partition_goes_by_time() {
    on_each(|database| {
        let mut conn = database.writer().unwrap();
        note(&mut conn, "t", 0, &[seen("k", 50, Some(1_000))], None).unwrap();
        assert_eq!(note(&mut conn, "t", 1, &[seen("k", 2, Some(2_000))], None).unwrap(), 1, "the newer one");
        assert_eq!(note(&mut conn, "t", 0, &[seen("k", 51, Some(1_500))], None).unwrap(), 0, "the older one");
        assert_eq!(
            note(&mut conn, "t", 2, &[seen("k", 0, None)], None).unwrap(),
            1,
            "no time: the one that comes last"
        );
        drop(conn);
        assert_eq!(rows(database, "t", &["k"]), [("k".into(), 2, 0)]);
    });
}

#[test]
fn many_keys_are_noted_and_read_at_once() {
    on_each(|database| {
        let keys: Vec<String> = (0..2_500).map(|n| format!("key {n:05}")).collect();
        let all: Vec<Seen<'_>> = (0_i64..).zip(&keys).map(|(offset, key)| seen(key, offset, Some(offset))).collect();
        let mut conn = database.writer().unwrap();
        assert_eq!(note(&mut conn, "t", 0, &all, None).unwrap(), 2_500);
        drop(conn);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let found = rows(database, "t", &keys);
        assert_eq!(found.len(), 2_500);
        assert_eq!(found[2_499], ("key 02499".to_owned(), 0, 2_499));
    });
}
