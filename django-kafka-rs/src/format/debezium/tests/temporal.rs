//! Dates, timestamps, times.

#![expect(clippy::needless_raw_string_hashes, reason = "as expect-test writes them")]

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use expect_test::expect;

use super::*;

#[test]
fn dates() {
    check(
        default::<NaiveDate>,
        &[
            "10956",
            "-719162",
            "0",
            "-96465292",
            "95026236",
            "2147483647",
            "3000000000",
            "\"2024-01-01\"",
            "1.5",
            "null",
            "{\"a\":1}",
            P,
        ],
        expect![[r#"
            10956 → 1999-12-31
            -719162 → 0001-01-01
            0 → 1970-01-01
            -96465292 → -262143-01-01
            95026236 → +262142-12-31
            2147483647 → error: 2147483647 days since 1970 are out of the range of dates (years -262143 to 262142)
            3000000000 → error: 3000000000 days since 1970 are out of the range of dates (years -262143 to 262142)
            "2024-01-01" → error: expected days since 1970 (an integer), found the text "2024-01-01"; for text write `as = dbz::IsoDate`
            1.5 → error: expected days since 1970 (an integer), found the number 1.5
            null → error: expected days since 1970 (an integer), found null, but the field has no NULL; make it an `Option<…>`
            {"a":1} → error: expected days since 1970 (an integer), found an object
            "__debezium_unavailable_value" → (unavailable)
        "#]],
    );
    check(
        read::<NaiveDate, dbz::IsoDate>,
        &["\"2024-02-29Z\"", "\"2024-02-29\"", "\"2023-02-29\"", "5"],
        expect![[r#"
        "2024-02-29Z" → 2024-02-29
        "2024-02-29" → 2024-02-29
        "2023-02-29" → error: expected a date as text (2024-02-29), found the text "2023-02-29"
        5 → error: expected a date as text (2024-02-29), found the integer 5
    "#]],
    );
}

#[test]
fn timestamps() {
    check(
        default::<NaiveDateTime>,
        &[
            "1709210096789012",
            "-1",
            "0",
            "9223372036825200000",
            "-9223372036832400000",
            "18446744073709551615",
            "\"2024-01-01T00:00:00Z\"",
            "true",
        ],
        expect![[r#"
            1709210096789012 → 2024-02-29T12:34:56.789012
            -1 → 1969-12-31T23:59:59.999999
            0 → 1970-01-01T00:00:00
            9223372036825200000 → error: 9223372036825200000 microseconds since 1970 are out of the range of timestamps (years -262143 to 262142); PostgreSQL's infinity arrives as such a number
            -9223372036832400000 → error: -9223372036832400000 microseconds since 1970 are out of the range of timestamps (years -262143 to 262142); PostgreSQL's infinity arrives as such a number
            18446744073709551615 → error: expected microseconds since 1970 (an integer), found the integer 18446744073709551615
            "2024-01-01T00:00:00Z" → error: expected microseconds since 1970 (an integer), found the text "2024-01-01T00:00:00Z"; for text write `as = dbz::IsoTimestamp` or `as = dbz::ZonedTimestamp`
            true → error: expected microseconds since 1970 (an integer), found true
        "#]],
    );
    check(
        read::<NaiveDateTime, dbz::Timestamp>,
        &["1709210096789", "-1", "-9223372036854775808"],
        expect![[r#"
        1709210096789 → 2024-02-29T12:34:56.789
        -1 → 1969-12-31T23:59:59.999
        -9223372036854775808 → error: -9223372036854775808 milliseconds since 1970 are out of the range of timestamps (years -262143 to 262142); PostgreSQL's infinity arrives as such a number
    "#]],
    );
    check(
        read::<NaiveDateTime, dbz::NanoTimestamp>,
        &["1709210096789012345", "9223372036854775807", "-9223372036854775808"],
        expect![[r#"
            1709210096789012345 → 2024-02-29T12:34:56.789012345
            9223372036854775807 → 2262-04-11T23:47:16.854775807
            -9223372036854775808 → 1677-09-21T00:12:43.145224192
        "#]],
    );
    check(
        read::<DateTime<Utc>, dbz::MicroTimestamp>,
        &["1709210096789012"],
        expect![[r#"
        1709210096789012 → 2024-02-29T12:34:56.789012Z
    "#]],
    );
    check(
        default::<DateTime<Utc>>,
        &[
            "\"2024-02-29T10:34:56.789012Z\"",
            "\"1969-12-31T23:59:59.999999Z\"",
            "\"2024-02-29T12:34:56+02:00\"",
            "\"-0001-01-01T00:00:00Z\"",
            "\"+12024-01-01T00:00:00Z\"",
            "\"infinity\"",
            "1709210096789",
            P,
        ],
        expect![[r#"
            "2024-02-29T10:34:56.789012Z" → 2024-02-29T10:34:56.789012Z
            "1969-12-31T23:59:59.999999Z" → 1969-12-31T23:59:59.999999Z
            "2024-02-29T12:34:56+02:00" → 2024-02-29T10:34:56Z
            "-0001-01-01T00:00:00Z" → -0001-01-01T00:00:00Z
            "+12024-01-01T00:00:00Z" → +12024-01-01T00:00:00Z
            "infinity" → error: expected a timestamp as text with its offset (2024-02-29T10:34:56.789Z), found the text "infinity"
            1709210096789 → error: expected a timestamp as text with its offset (2024-02-29T10:34:56.789Z), found the integer 1709210096789
            "__debezium_unavailable_value" → (unavailable)
        "#]],
    );
    check(
        read::<NaiveDateTime, dbz::IsoTimestamp>,
        &["\"2024-02-29T10:34:56.789012Z\"", "\"2024-02-29T10:34:56\"", "\"yesterday\""],
        expect![[r#"
            "2024-02-29T10:34:56.789012Z" → 2024-02-29T10:34:56.789012
            "2024-02-29T10:34:56" → 2024-02-29T10:34:56
            "yesterday" → error: expected a timestamp as text (2024-02-29T10:34:56.789), found the text "yesterday"
        "#]],
    );
    check(
        read::<NaiveDateTime, dbz::ZonedTimestamp>,
        &["\"2024-02-29T12:34:56+02:00\""],
        expect![[r#"
        "2024-02-29T12:34:56+02:00" → 2024-02-29T10:34:56
    "#]],
    );
}

#[test]
fn times() {
    check(
        default::<NaiveTime>,
        &["0", "86399999999", "86400000000", "86400000001", "-1", "\"10:00:00\"", "null"],
        expect![[r#"
            0 → 00:00:00
            86399999999 → 23:59:59.999999
            86400000000 → error: 86400000000 microseconds since midnight (24:00:00) are out of the range of a time of day (00:00:00 to 23:59:59.999999999); read the column as an `i64`, or through a function with `with = path`
            86400000001 → error: 86400000001 microseconds since midnight are out of the range of a time of day (00:00:00 to 23:59:59.999999999); read the column as an `i64`, or through a function with `with = path`
            -1 → error: -1 microseconds since midnight are out of the range of a time of day (00:00:00 to 23:59:59.999999999); read the column as an `i64`, or through a function with `with = path`
            "10:00:00" → error: expected microseconds since midnight (an integer), found the text "10:00:00"; for text write `as = dbz::IsoTime`
            null → error: expected microseconds since midnight (an integer), found null, but the field has no NULL; make it an `Option<…>`
        "#]],
    );
    check(
        read::<NaiveTime, dbz::Time>,
        &["86399999", "86400000"],
        expect![[r#"
        86399999 → 23:59:59.999
        86400000 → error: 86400000 milliseconds since midnight (24:00:00) are out of the range of a time of day (00:00:00 to 23:59:59.999999999); read the column as an `i64`, or through a function with `with = path`
    "#]],
    );
    check(
        read::<NaiveTime, dbz::NanoTime>,
        &["86399999999999", "1"],
        expect![[r#"
        86399999999999 → 23:59:59.999999999
        1 → 00:00:00.000000001
    "#]],
    );
    check(
        read::<NaiveTime, dbz::IsoTime>,
        &["\"10:34:56.789Z\"", "\"10:34:56+02:00\"", "\"10:34:56\"", "\"24:00:00\""],
        expect![[r#"
        "10:34:56.789Z" → 10:34:56.789
        "10:34:56+02:00" → 08:34:56
        "10:34:56" → 10:34:56
        "24:00:00" → error: expected a time of day as text (10:34:56.789), found the text "24:00:00"
    "#]],
    );
}
