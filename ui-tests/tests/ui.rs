//! What users may write and what they may not: each file under `ui/<macro>/pass` compiles, each under
//! `ui/<macro>/fail` fails with exactly the messages beside it. `TRYBUILD=overwrite` takes new messages over; read
//! them as prose before they are committed.

#[test]
fn messages_are_what_a_newcomer_can_act_on() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/*/pass/*.rs");
    cases.compile_fail("ui/*/fail/*.rs");
}
