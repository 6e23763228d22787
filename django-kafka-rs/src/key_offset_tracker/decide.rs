//! What is decided about keys and offsets. Pure.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::error::{Action, ConstraintViolation, ConsumeError, RowNotFound};
use crate::record::RawRecord;
use crate::retry::policy;

/// The longest key that is tracked, in bytes. PostgreSQL's index holds about 2700 bytes of key and topic together.
pub(super) const KEY_BYTES_MAX: usize = 2_000;

/// Later than the year 9999 is no time but a mistake, and no database's.
const TIMESTAMP_MS_MAX: i64 = 253_402_300_799_999;

/// A key's newest message in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen<'r> {
    pub(super) key: &'r [u8],
    pub(super) offset: i64,
    /// The message's own time, in milliseconds since 1970.
    pub(super) create_ms: Option<i64>,
    /// The same, where the broker has set it.
    pub(super) log_append_ms: Option<i64>,
}

/// What the table says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Latest {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// The newest message of each key of one partition's messages, ordered by key.
pub(super) fn latest(records: &[Arc<RawRecord>]) -> Vec<Seen<'_>> {
    let mut newest: HashMap<&[u8], &RawRecord> = HashMap::new();
    for record in records {
        if let Some(key) = tracked_key(record) {
            // In the order of the partition: the later one is the newer.
            newest.insert(key, record);
        }
    }
    let mut seen: Vec<Seen<'_>> = newest
        .into_iter()
        .map(|(key, record)| {
            let time = record.timestamp_ms.filter(|ms| (0..=TIMESTAMP_MS_MAX).contains(ms));
            let (create_ms, log_append_ms) = if record.is_log_append_time { (None, time) } else { (time, None) };
            Seen { key, offset: record.offset, create_ms, log_append_ms }
        })
        .collect();
    seen.sort_unstable_by_key(|seen| seen.key);
    seen
}

/// A message's key, where it is tracked.
pub(super) fn tracked_key(record: &RawRecord) -> Option<&[u8]> {
    record.key.as_deref().filter(|key| key.len() <= KEY_BYTES_MAX)
}

/// The later offset by which a message is superseded, if the partition's log has it.
///
/// `high` is behind the partition's last message. An offset that is not below it is of an earlier life of the topic,
/// which was deleted and created anew: it says nothing of this one.
pub(super) fn later_offset(latest: Latest, partition: i32, offset: i64, high: i64) -> Option<i64> {
    (may_be_later(latest, partition, offset) && latest.offset < high).then_some(latest.offset)
}

/// The same before the partition's end is known.
pub(super) fn may_be_later(latest: Latest, partition: i32, offset: i64) -> bool {
    latest.partition == partition && latest.offset > offset
}

/// Whether a failure is that a row is not there, or that a constraint refuses one: what a newer message of the key may
/// have made pointless.
///
/// A handler that has said itself what is to happen is not overruled.
pub(crate) fn is_relational(error: &ConsumeError) -> bool {
    error.action() == Action::Policy && policy::any_cause(error.error(), &names_rows)
}

fn names_rows(error: &(dyn Error + 'static)) -> bool {
    if error.is::<RowNotFound>() || error.is::<ConstraintViolation>() {
        return true;
    }
    matches!(
        error.downcast_ref::<DieselError>(),
        Some(
            DieselError::NotFound
                | DieselError::DatabaseError(
                    DatabaseErrorKind::UniqueViolation
                        | DatabaseErrorKind::ForeignKeyViolation
                        | DatabaseErrorKind::NotNullViolation
                        | DatabaseErrorKind::CheckViolation,
                    _
                )
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64, key: Option<&[u8]>) -> Arc<RawRecord> {
        Arc::new(RawRecord {
            topic: "t".into(),
            offset,
            key: key.map(<[u8]>::to_vec),
            timestamp_ms: Some(offset * 10),
            ..RawRecord::default()
        })
    }

    #[test]
    fn a_batch_is_reduced_to_the_newest_of_each_key() {
        let long = vec![0; KEY_BYTES_MAX + 1];
        let records = [
            record(1, Some(b"b")),
            record(2, None),
            record(3, Some(b"a")),
            record(4, Some(&long)),
            record(7, Some(b"b")),
        ];
        let found: Vec<_> =
            latest(&records).iter().map(|seen| (seen.key.to_vec(), seen.offset, seen.create_ms)).collect();
        assert_eq!(found, [(b"a".to_vec(), 3, Some(30)), (b"b".to_vec(), 7, Some(70))]);
    }

    #[test]
    fn times_are_kept_by_who_set_them_and_impossible_ones_are_not() {
        let with = |timestamp_ms, is_log_append_time| {
            let record = RawRecord { timestamp_ms, is_log_append_time, key: Some(vec![1]), ..RawRecord::default() };
            let records = [Arc::new(record)];
            let seen = &latest(&records)[0];
            (seen.create_ms, seen.log_append_ms)
        };
        assert_eq!(with(Some(5), false), (Some(5), None));
        assert_eq!(with(Some(5), true), (None, Some(5)));
        assert_eq!(with(Some(i64::MAX), false), (None, None));
        assert_eq!(with(Some(-1), true), (None, None));
    }

    #[test]
    fn only_a_later_offset_of_the_same_partition_that_the_log_has_supersedes() {
        let latest = Latest { partition: 1, offset: 7 };
        assert_eq!(later_offset(latest, 1, 6, 8), Some(7));
        assert_eq!(later_offset(latest, 1, 7, 8), None, "itself");
        assert_eq!(later_offset(latest, 1, 8, 9), None, "the tracker is behind");
        assert_eq!(later_offset(latest, 0, 6, 8), None, "another partition has another order");
        assert_eq!(later_offset(latest, 1, 6, 7), None, "the topic was created anew and has no offset 7 yet");
    }

    #[test]
    fn relational_errors_are_found_among_the_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] DieselError);
        let violation = |kind| DieselError::DatabaseError(kind, Box::new("no".to_owned()));
        assert!(is_relational(&RowNotFound::new("no customer 1").into()));
        assert!(is_relational(&DieselError::NotFound.into()));
        assert!(is_relational(&Outer(violation(DatabaseErrorKind::ForeignKeyViolation)).into()));
        assert!(is_relational(&std::io::Error::other(Outer(violation(DatabaseErrorKind::UniqueViolation))).into()));
        assert!(!is_relational(&Outer(violation(DatabaseErrorKind::SerializationFailure)).into()));
        assert!(!is_relational(&"text".into()));
        assert!(!is_relational(&ConsumeError::dead_letter(DieselError::NotFound)), "the handler has decided");
    }
}
