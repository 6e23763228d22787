use expect_test::{Expect, expect};

use super::*;

fn id(offset: i64) -> LetterId {
    LetterId { topic: "crm.orders.dlt".to_owned(), partition: 0, offset }
}

fn letter(offset: i64, key: &[u8]) -> LetterRow {
    LetterRow {
        id: id(offset),
        consumer: "Crm".to_owned(),
        group: "crm".to_owned(),
        failed_ms: Some(1_700_000_000_250),
        origin: Origin { topic: "orders".into(), partition: 2, offset: 70 + offset },
        attempts: 3,
        summary: "no customer 7".to_owned(),
        was_replayed: offset > 5,
        key: Some(key.to_vec()),
        full: None,
    }
}

fn full(offset: i64, value: Option<&[u8]>) -> LetterRow {
    let mut headers = Headers::new();
    headers.push("trace", Some(b"1".to_vec()));
    headers.push("trace", None);
    let detail = "no customer 7\ncaused by: FOREIGN KEY constraint failed".to_owned();
    let full = FullLetter { detail, headers, value: value.map(<[u8]>::to_vec) };
    LetterRow { full: Some(full), ..letter(offset, b"k") }
}

fn check(found: &str, expected: &Expect) {
    expected.assert_eq(found);
}

#[test]
fn letters_are_listed_in_lines() {
    let letters = Letters { rows: vec![letter(1, br#"{"id": 7}"#), letter(9, b"\xff\x00")], beyond: 3, replayed: 2 };
    check(
        &list(&letters),
        &expect![[r#"
            LETTER              FAILED                FIRST READ   ATTEMPTS  KEY        WHY
            crm.orders.dlt/0/1  2023-11-14T22:13:20Z  orders/2/71  3         {"id": 7}  no customer 7
            crm.orders.dlt/0/9  2023-11-14T22:13:20Z  orders/2/79  3         0xff00     (replayed) no customer 7
            3 more: raise `--limit`, or narrow them down by `--topic`, `--match` or `--since`
            left out: 2 that were replayed (`--all` has them too)
        "#]],
    );
    check(
        &list(&Letters::default()),
        &expect![[r"
        no dead letters
    "]],
    );
}

#[test]
fn nothing_in_a_letter_reaches_the_terminal_but_text() {
    let letters =
        Letters { rows: vec![letter(1, b"a\x1b[31mred\r\nb\tc"), letter(2, &[0xff; 60])], ..Letters::default() };
    check(
        &list(&letters),
        &expect![[r#"
        LETTER              FAILED                FIRST READ   ATTEMPTS  KEY                                                     WHY
        crm.orders.dlt/0/1  2023-11-14T22:13:20Z  orders/2/71  3         a\u{1b}[31mred b c                                      no customer 7
        crm.orders.dlt/0/2  2023-11-14T22:13:20Z  orders/2/72  3         0xffffffffffffffffffffffffffffffffffffffff… (60 bytes)  no customer 7
    "#]],
    );
    check(
        &show(&Letters { rows: vec![full(1, Some(b"\x1b]0;title\x07 and\ntext"))], ..Letters::default() }),
        &expect![[r#"
            crm.orders.dlt/0/1
              consumer    Crm (group crm)
              failed      2023-11-14T22:13:20Z, after 3 attempts
              first read  orders/2/71
              key         k
              header      trace: 1
              header      trace: (null)
              why
                no customer 7
                caused by: FOREIGN KEY constraint failed
              value
                \u{1b}]0;title\u{7} and
                text

        "#]],
    );
}

#[test]
fn letters_are_shown_in_full() {
    let rows = vec![full(1, Some(br#"{"id": 1}"#)), full(9, None), full(2, Some(&[0xfe; 3]))];
    check(
        &show(&Letters { rows, ..Letters::default() }),
        &expect![[r#"
        crm.orders.dlt/0/1
          consumer    Crm (group crm)
          failed      2023-11-14T22:13:20Z, after 3 attempts
          first read  orders/2/71
          key         k
          header      trace: 1
          header      trace: (null)
          why
            no customer 7
            caused by: FOREIGN KEY constraint failed
          value
            {"id": 1}

        crm.orders.dlt/0/9  (replayed)
          consumer    Crm (group crm)
          failed      2023-11-14T22:13:20Z, after 3 attempts
          first read  orders/2/79
          key         k
          header      trace: 1
          header      trace: (null)
          why
            no customer 7
            caused by: FOREIGN KEY constraint failed
          value
            (none: a tombstone)

        crm.orders.dlt/0/2
          consumer    Crm (group crm)
          failed      2023-11-14T22:13:20Z, after 3 attempts
          first read  orders/2/72
          key         k
          header      trace: 1
          header      trace: (null)
          why
            no customer 7
            caused by: FOREIGN KEY constraint failed
          value
            0xfefefe

    "#]],
    );
}

#[test]
fn letters_for_programs() {
    let letters = Letters { rows: vec![full(1, Some(b"\xff\x01"))], beyond: 1, replayed: 0 };
    check(
        &letters_json(&letters),
        &expect![[r#"
        {
          "beyond_limit": 1,
          "letters": [
            {
              "attempts": 3,
              "consumer": "Crm",
              "dead_letter_topic": "crm.orders.dlt",
              "detail": "no customer 7\ncaused by: FOREIGN KEY constraint failed",
              "failed_at": "2023-11-14T22:13:20Z",
              "group": "crm",
              "headers": [
                {
                  "name": "trace",
                  "value": "1"
                },
                {
                  "name": "trace",
                  "value": null
                }
              ],
              "key": "k",
              "letter": "crm.orders.dlt/0/1",
              "offset": 1,
              "origin": {
                "offset": 71,
                "partition": 2,
                "topic": "orders"
              },
              "partition": 0,
              "replayed": false,
              "summary": "no customer 7",
              "value": {
                "hex": "ff01"
              }
            }
          ],
          "replayed": 0
        }"#]],
    );
}

#[test]
fn long_texts_are_cut_between_characters() {
    assert_eq!(shown("üüü".as_bytes(), 5), "üü… (6 bytes)");
    assert_eq!(shown(&[0xff, 0xfe, 0xfd], 4), "0xfffe… (3 bytes)");
    assert_eq!(one_line("a\n  b".as_bytes(), 40), "a b");
}

#[test]
fn a_replay_is_reported() {
    let mut report = ReplayReport { replayed: 1, ..ReplayReport::default() };
    check(
        &replayed(&report),
        &expect![[r"
        replayed 1 dead letter
    "]],
    );
    assert_eq!(report.exit(), Exit::Done);
    report = ReplayReport { replayed: 2, superseded: 3, skipped: 4, failed: 1_001, ..report };
    report.tell(id(5), "no customer\n7");
    report.interrupted = Some("the database is away".to_owned());
    check(
        &replayed(&report),
        &expect![[r#"
        crm.orders.dlt/0/5 failed again: no customer 7
        … and 1000 more
        replayed 2 dead letters; 3 were superseded by newer messages and passed over (`--force` handles them too); 4 were skipped by their handler; 1001 failed again and stay
        ended before the last one: the database is away
    "#]],
    );
    assert_eq!(report.exit(), Exit::Failed);
    check(
        &replayed_json(&report),
        &expect![[r#"
        {
          "failed": 1001,
          "failures": [
            {
              "letter": "crm.orders.dlt/0/5",
              "summary": "no customer\n7"
            }
          ],
          "interrupted": "the database is away",
          "replayed": 2,
          "skipped": 4,
          "superseded": 3
        }"#]],
    );
    let mut dry = ReplayReport { is_dry: true, replayed: 2, ..ReplayReport::default() };
    dry.tell(id(1), "no customer 7");
    check(
        &replayed(&dry),
        &expect![[r#"
        crm.orders.dlt/0/1: no customer 7
        … and 1 more
        would replay 2 dead letters
    "#]],
    );
}

#[test]
fn letters_are_named_by_their_place() {
    assert_eq!("crm.orders.dlt/0/17".parse(), Ok(id(17)));
    assert_eq!(id(17).to_string(), "crm.orders.dlt/0/17");
    for text in ["", "topic", "topic/1", "/1/2", "topic/x/1", "topic/1/x"] {
        let refused: Result<LetterId, _> = text.parse();
        assert!(refused.is_err(), "{text}");
    }
}

#[test]
fn moments_are_times_or_ages() {
    assert_eq!("2023-11-14T22:13:20Z".parse(), Ok(Moment(1_700_000_000_000)));
    let now = i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let Moment(ago) = "2h".parse().unwrap();
    assert!((7_199_000..=7_201_000).contains(&(now - ago)), "{ago}");
    let refused: Result<Moment, _> = "yesterday".parse();
    check(
        &refused.unwrap_err(),
        &expect!["a time is written as 2026-01-31T12:00:00Z (UTC), or as how long ago it is: 90s, 2h, 3days"],
    );
}

#[test]
fn a_selection_takes_what_all_of_it_names() {
    let takes =
        |selection: &DlqSelection| selection.takes(&id(3), Some(100), ["No Customer", "caused by: FOREIGN KEY"]);
    let none = DlqSelection::default();
    assert!(takes(&none));
    assert!(takes(&DlqSelection { letters: vec![id(3)], matching: Some("foreign".into()), ..none.clone() }));
    assert!(!takes(&DlqSelection { letters: vec![id(4)], ..none.clone() }));
    assert!(!takes(&DlqSelection { matching: Some("unique".into()), ..none.clone() }));
    assert!(takes(&DlqSelection { since: Some(Moment(100)), until: Some(Moment(101)), ..none.clone() }));
    assert!(!takes(&DlqSelection { since: Some(Moment(101)), ..none.clone() }));
    assert!(!takes(&DlqSelection { until: Some(Moment(100)), ..none }));
}
