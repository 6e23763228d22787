//! The trigger for writers that know nothing of `kafka_skip`.
//!
//! A trigger sees what a row is to become, not which columns the statement sets: true after true may be a mark set anew
//! or one that is left over. But a trigger *of* a column fires only where the statement sets it. So there are two: the
//! first, of the column, turns a mark that is set into NULL; the second, of every update, turns NULL into true and
//! anything else into false. Constraints are checked after both.

use crate::sync::model::TableName;

pub(super) fn sql(table: &TableName) -> String {
    let table = &table.postgres;
    format!(
        "CREATE OR REPLACE FUNCTION django_kafka_skip_given() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.kafka_skip := CASE WHEN NEW.kafka_skip THEN NULL ELSE false END; RETURN NEW; END $$;
CREATE OR REPLACE FUNCTION django_kafka_skip_reset() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.kafka_skip := NEW.kafka_skip IS NULL; RETURN NEW; END $$;
DROP TRIGGER IF EXISTS django_kafka_skip_1_given ON {table};
CREATE TRIGGER django_kafka_skip_1_given BEFORE UPDATE OF kafka_skip ON {table}
FOR EACH ROW EXECUTE FUNCTION django_kafka_skip_given();
DROP TRIGGER IF EXISTS django_kafka_skip_2_reset ON {table};
CREATE TRIGGER django_kafka_skip_2_reset BEFORE UPDATE ON {table}
FOR EACH ROW EXECUTE FUNCTION django_kafka_skip_reset();
"
    )
}
