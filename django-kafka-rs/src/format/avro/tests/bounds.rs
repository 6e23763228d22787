//! Random schemas, valid messages of them, and what becomes of these when bytes are changed: no panic, and no more memory
//! than what the message itself could fill.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use proptest::prelude::*;
use proptest::sample::Index;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::super::framing::{names_schema, split};
use super::super::json::json as as_json;
use super::hostile::{Typed, everything};
use super::oracle::case;
use super::{Datum, Plain, Schema, schema};

thread_local! {
    /// Bytes that this thread has now, and the most that it had since [`peak_bytes`] began.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, which also counts: for all unit tests, each thread for itself.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(bytes: isize) {
    // Only while a thread ends are they gone.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its nature; this one only passes on")]
// SAFETY: the system's allocator does the work, with the same layouts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The most bytes that `work` had at one time.
fn peak_bytes<T>(work: impl FnOnce() -> T) -> usize {
    let before = LIVE.get();
    PEAK.set(before);
    drop(work());
    usize::try_from(PEAK.get() - before).unwrap_or(0)
}

#[test]
fn allocations_are_counted() {
    assert!(peak_bytes(|| drop(vec![0_u8; 10_000])) >= 10_000);
    assert_eq!(peak_bytes(|| 1), 0);
}

/// What an element costs at most as a JSON value: a map of one entry, in a vector that has just grown.
const ELEMENT_BYTES: usize = 1024;
/// Elements beside one for each byte that a message may have: see the cursor.
const ELEMENTS_MIN: usize = 1024;
/// Errors, with the path to what is wrong.
const TEXT_BYTES: usize = 16 * 1024;

/// Reads the bytes in each way there is.
fn read_in_all_ways(schema: &Schema, bytes: &[u8], types: usize) -> Result<(), TestCaseError> {
    let datum = || Datum::new(schema, bytes);
    let skipped = peak_bytes(|| datum().read::<IgnoredAny>().is_ok());
    prop_assert!(skipped <= TEXT_BYTES, "passing over {} bytes took {skipped}", bytes.len());
    // An element of no bytes is as large as the schema makes it.
    let most = ELEMENT_BYTES * types * (bytes.len() + ELEMENTS_MIN) + TEXT_BYTES;
    let read = peak_bytes(|| datum().read::<Value>().is_ok());
    prop_assert!(read <= most, "{} bytes took {read}", bytes.len());
    let read = peak_bytes(|| as_json(datum()).is_ok());
    prop_assert!(read <= most, "{} bytes took {read}", bytes.len());
    Ok(())
}

/// How many types a schema names.
fn types(schema: &Value) -> usize {
    match schema {
        Value::Array(parts) => parts.iter().map(types).sum(),
        Value::Object(members) => 1 + members.values().map(types).sum::<usize>(),
        _ => 1,
    }
}

#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    // What lengths and counts of several sizes look like, and numbers that never end.
    let number = prop_oneof![
        any::<i64>().prop_map(|n| long(n >> (n & 63))),
        Just(long(i64::MAX)),
        Just(long(i64::MIN)),
        Just(vec![0xff; 11]),
        prop::collection::vec(any::<u8>(), 1..8),
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), 0_u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), number).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), 1_usize..300).prop_map(|(at, times)| Change::Repeat(at, times)),
    ]
}

fn long(value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    super::super::write::long(value, &mut bytes);
    bytes
}

fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        let (Change::Set(at, _)
        | Change::Flip(at, _)
        | Change::Cut(at)
        | Change::Insert(at, _)
        | Change::Repeat(at, _)) = change;
        let at = at.index(bytes.len() + 1);
        match (change, bytes.get_mut(at)) {
            (Change::Set(_, new), Some(byte)) => *byte = *new,
            (Change::Flip(_, bit), Some(byte)) => *byte ^= 1 << bit,
            (Change::Cut(_), _) => bytes.truncate(at),
            (Change::Insert(_, new), _) => drop(bytes.splice(at..at, new.iter().copied())),
            (Change::Repeat(_, times), Some(byte)) => {
                let again = vec![*byte; *times];
                bytes.splice(at..at, again);
            }
            (_, None) => {}
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_message_is_a_value_or_an_error_and_takes_no_more_memory_than_it_could_fill(
        case in case(),
        other in case(),
        changes in prop::collection::vec(change(), 0..6),
    ) {
        // A named type that is there twice is no schema.
        let Ok(written) = Schema::parse(&case.schema.to_string(), &[]) else { return Ok(()) };
        let valid = written.write(&Plain::from(&case.value)).unwrap();
        let bytes = changed(&valid, &changes);
        read_in_all_ways(&written, &bytes, types(&case.schema))?;
        // Read by another schema, where the two fit.
        if let Ok(reader) = Schema::parse(&other.schema.to_string(), &[])
            && let Ok(resolved) = Schema::resolve(&written, &reader)
        {
            read_in_all_ways(&resolved, &bytes, types(&case.schema) + types(&other.schema))?;
        }
        // As its frame has it: which bytes are the id's, and which the value's.
        let _ = names_schema(&bytes);
        if let Ok((_, avro)) = split(&bytes) {
            read_in_all_ways(&written, avro, types(&case.schema))?;
        }
    }

    #[test]
    fn typed_reading_takes_no_more_memory_than_the_message_could_fill(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            prop::collection::vec(0_u8..8, 0..300),
        ],
        changes in prop::collection::vec(change(), 0..6),
    ) {
        let schema = schema(&everything());
        let bytes = changed(&bytes, &changes);
        let most = ELEMENT_BYTES * (bytes.len() + ELEMENTS_MIN) + TEXT_BYTES;
        let read = peak_bytes(|| Datum::new(&schema, &bytes).read::<Typed>().is_ok());
        prop_assert!(read <= most, "{} bytes took {read}", bytes.len());
    }
}

#[test]
fn a_length_that_lies_allocates_nothing_for_it() {
    let shapes = [
        json!("string"),
        json!("bytes"),
        json!({ "type": "array", "items": "long" }),
        json!({ "type": "array", "items": "null" }),
        json!({ "type": "map", "values": "string" }),
    ];
    for shape in shapes {
        let schema = schema(&shape);
        for length in [i64::MAX, i64::MIN + 1, 1 << 40, 1 << 31, 1 << 20] {
            let bytes = [long(length), b"short".to_vec()].concat();
            for read in [
                peak_bytes(|| Datum::new(&schema, &bytes).read::<Value>().is_ok()),
                peak_bytes(|| Datum::new(&schema, &bytes).read::<Vec<u8>>().is_ok()),
                peak_bytes(|| Datum::new(&schema, &bytes).read::<Vec<String>>().is_ok()),
                peak_bytes(|| Datum::new(&schema, &bytes).read::<IgnoredAny>().is_ok()),
            ] {
                assert!(read <= 1024, "{shape}: the length {length} took {read} bytes");
            }
        }
    }
}
