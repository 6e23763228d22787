//! Where reading begins: decisions about offsets. Pure.

use super::super::event::PartitionId;

/// What `auto.offset.reset` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reset {
    Earliest,
    Latest,
    Refuse,
}

impl Reset {
    /// By librdkafka's words; without one its default, the end.
    pub(crate) fn of(word: Option<&str>) -> Self {
        match word {
            Some("smallest" | "earliest" | "beginning") => Self::Earliest,
            Some("error") => Self::Refuse,
            _ => Self::Latest,
        }
    }
}

/// What a partition has: its first offset, and the one behind its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watermarks {
    pub(crate) low: i64,
    pub(crate) high: i64,
}

impl Watermarks {
    pub(crate) fn have(self, position: i64) -> bool {
        (self.low..=self.high).contains(&position)
    }
}

/// Where a partition is read from that has no row in the database yet: from what the group has committed to Kafka, where
/// the partition still has that, else from one of its ends, as a number: that of now.
///
/// # Errors
/// There is no such offset, and `auto.offset.reset = error`; the text says what there is.
pub(crate) fn first_position(
    id: &PartitionId,
    committed: Option<i64>,
    has: Watermarks,
    reset: Reset,
) -> Result<i64, String> {
    match (committed, reset) {
        (Some(committed), _) if has.have(committed) => Ok(committed),
        (_, Reset::Earliest) => Ok(has.low),
        (_, Reset::Latest) => Ok(has.high),
        (committed, Reset::Refuse) => {
            let found = committed.map_or("no offset".to_owned(), |offset| format!("offset {offset}"));
            Err(format!(
                "topic `{}`, partition {}: the group has committed {found}, the topic has {} to {}, and \
                 `auto.offset.reset` is `error`; for the first start set it to `earliest` or `latest`",
                id.0, id.1, has.low, has.high
            ))
        }
    }
}

/// What is to be said of a position that its partition does not have.
pub(crate) fn out_of_range(group: &str, id: &PartitionId, position: i64, has: Watermarks) -> String {
    let (topic, partition) = id;
    let (low, high) = (has.low, has.high);
    let why = if position < low {
        "the messages in between were removed before they were handled (the topic's retention)"
    } else {
        "the topic was created anew, or has lost messages"
    };
    // Quoted for SQL, so that it can be taken over as it stands.
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    format!(
        "topic `{topic}`, partition {partition}: the next message to handle has offset {position}, by \
         `django_kafka_offset`, but the topic has {low} to {high}: {why}; nothing is skipped unasked: to go on with what \
         there is, `UPDATE django_kafka_offset SET \"offset\" = {low} WHERE \"group\" = {} AND topic = {} AND \
         partition = {partition}`; for a topic that was created anew delete its rows from `django_kafka_settled` too",
        quoted(group),
        quoted(topic)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HAS: Watermarks = Watermarks { low: 10, high: 20 };

    fn start(committed: Option<i64>, reset: &str) -> Result<i64, String> {
        first_position(&("orders".into(), 3), committed, HAS, Reset::of(Some(reset)))
    }

    #[test]
    fn a_committed_offset_goes_before_the_ends() {
        for reset in ["earliest", "latest", "error"] {
            for committed in [10, 15, 20] {
                assert_eq!(start(Some(committed), reset), Ok(committed));
            }
        }
    }

    #[test]
    fn without_one_or_with_one_that_is_gone_an_end_is_taken() {
        for committed in [None, Some(9), Some(21)] {
            for (word, offset) in
                [("smallest", 10), ("earliest", 10), ("beginning", 10), ("largest", 20), ("latest", 20), ("end", 20)]
            {
                assert_eq!(start(committed, word), Ok(offset), "{committed:?} {word}");
            }
            assert_eq!(
                first_position(&("t".into(), 0), committed, HAS, Reset::of(None)),
                Ok(20),
                "librdkafka's default"
            );
            let said = start(committed, "error").unwrap_err();
            assert!(said.contains("`orders`, partition 3") && said.contains("10 to 20"), "{said}");
        }
    }

    #[test]
    fn a_position_out_of_range_names_all_and_the_remedy() {
        let said = out_of_range("o'crm", &("orders".into(), 3), 5, HAS);
        for part in ["`orders`, partition 3", "offset 5", "10 to 20", "retention", "= 10 WHERE \"group\" = 'o''crm'"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(out_of_range("crm", &("orders".into(), 3), 30, HAS).contains("created anew"));
    }
}
