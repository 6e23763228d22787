//! Dead letters that are replayed before the rows are there that they refer to.

use serde_json::json;

use super::{Shop, each, topics};

impl Shop {
    async fn note(&self, id: i64, customer: i64) {
        let value = json!({ "id": id, "customer_id": customer });
        self.kafka().produce(&topics::Notes, json!({ "id": id }), value).await.unwrap();
    }

    fn notes(&self) -> Vec<String> {
        self.lines("SELECT id || '→' || customer_id AS line FROM notes ORDER BY id")
    }
}

#[tokio::test]
async fn a_replayed_letter_whose_parent_is_missing_waits_for_it() {
    each("replayed", async |shop| {
        shop.execute("INSERT INTO customers VALUES (5, 'from elsewhere')");
        // No note can be written now.
        shop.execute("ALTER TABLE notes ADD COLUMN closed BIGINT CHECK (closed IS NOT NULL)");
        shop.note(1, 5).await;
        shop.consume();
        assert_eq!(shop.notes(), [""; 0]);
        assert_eq!(shop.run(0, &["waiting", "list"]), "nothing waits\n");

        shop.execute("ALTER TABLE notes DROP COLUMN closed; DELETE FROM customers WHERE id = 5");
        assert_eq!(shop.run(0, &["dlq", "replay"]), "replayed 1 dead letter\n");
        assert_eq!(shop.notes(), [""; 0]);
        let waiting = shop.json(&["waiting", "list", "--json"]);
        assert_eq!(waiting.as_array().unwrap().len(), 1, "{waiting}");
        assert_eq!(shop.run(0, &["dlq", "replay"]), "replayed 0 dead letters\n", "it waits once");

        shop.execute("INSERT INTO customers VALUES (5, 'again')");
        assert_eq!(shop.run(0, &["waiting", "resolve"]), "1 message waits no more\n");
        assert_eq!(shop.notes(), ["1→5"]);
    })
    .await;
}
