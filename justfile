# What people type. CI runs `.ci/run`, which says the same things in its own order.

# List the recipes.
default:
    @just --list

# The README's second command: every test that needs nothing installed.
test *ARGS:
    cargo test {{ ARGS }}

# The README's first command.
quickstart:
    cargo run --example quickstart

# Everything that must be clean, and quick to ask: format, clippy, spelling, TOML.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo clippy -p django-kafka-rs-tests --test stack -- -D warnings
    typos
    taplo fmt --check

# The real services (scripts/stack/README.md): Kafka, PostgreSQL, Kafka Connect.
stack-up *SERVICES="kafka postgres connect":
    scripts/stack/up {{ SERVICES }}

# The tests that run on SQLite, on PostgreSQL too.
pg-test *ARGS:
    . "${STACK_HOME:-$HOME/.cache/dkrs-stack}/env" && cargo test -p django-kafka-rs -p django-kafka-rs-tests --lib --tests {{ ARGS }}

# Tests against the real services.
stack-test *ARGS:
    . "${STACK_HOME:-$HOME/.cache/dkrs-stack}/env" && cargo test -p django-kafka-rs-tests --test stack {{ ARGS }}

# Faults at random moments, on a Kafka and a PostgreSQL of its own, with what it met at the end. The seed of a run is said
# at its beginning. More in tests/stack/chaos/mod.rs.
chaos ROUNDS="100" SEED="":
    . "${STACK_HOME:-$HOME/.cache/dkrs-stack}/env" && CHAOS_ROUNDS={{ ROUNDS }} CHAOS_SEED={{ SEED }} \
        cargo test -p django-kafka-rs-tests --test stack rounds_of_faults -- --nocapture

# Stop the real services; `--wipe` also deletes their data.
stack-down *ARGS:
    scripts/stack/down {{ ARGS }}

# The documentation as docs.rs will show it, warnings denied.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps -p django-kafka-rs -p django-kafka-rs-macros

# What the macros accept and refuse (builds the dependencies once more: about two minutes the first time).
ui:
    cargo test -p django-kafka-rs-ui-tests

# Take over the compiler's present words as the expected ones; then read every changed .stderr as prose.
ui-bless:
    TRYBUILD=overwrite cargo test -p django-kafka-rs-ui-tests
    git diff --stat -- ui-tests

# Take over present output as expected: expect-test snapshots and the examples' output.
bless:
    UPDATE_EXPECT=1 cargo test

# Write librdkafka's properties, which the macros and the settings check, anew from the bundled librdkafka.
librdkafka-table:
    scripts/generate-librdkafka-table

# Licences, duplicates, sources, and known vulnerabilities (needs the network).
deny:
    cargo deny check

# The batch property (batch = one by one) with many more cases than CI takes.
prop CASES="20000":
    PROPTEST_CASES={{ CASES }} cargo test -p django-kafka-rs --lib -- batch_equals_one_by_one tables_converge

# A declared consumer beside a loop by hand and, with `--peers`, others, on a real Kafka and PostgreSQL
# (docs/performance.md). `just bench --short` only shows that it runs.
bench *ARGS:
    scripts/bench {{ ARGS }}

# How many messages a core decodes in a second: Avro and JSON, by criterion (docs/performance.md).
bench-decode:
    cargo bench -p django-kafka-rs --no-default-features --features avro,sqlite --bench decode

# All of CI.
ci:
    .ci/run
