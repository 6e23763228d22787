//! Which letters of a partition were replayed: all before a position, and some behind it. Pure.
//!
//! The position is committed as a group's offset, and what is behind it as that offset's metadata, a short text: so
//! both are kept by the broker, and change together.

use std::collections::BTreeMap;

/// The longest text that is written. Brokers take 4096 bytes (`offset.metadata.max.bytes`).
const TEXT_BYTES_MAX: usize = 4_000;

/// The replayed letters of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Replayed {
    /// All before this offset were replayed, or are gone.
    position: i64,
    /// Behind it: the first offset of each run, and the offset behind its last.
    beyond: BTreeMap<i64, i64>,
}

impl Replayed {
    /// What was committed; `None` where the text is not one of ours.
    pub(super) fn parse(position: i64, text: &str) -> Option<Self> {
        let mut replayed = Self { position, beyond: BTreeMap::new() };
        let mut at = position;
        for run in text.split(',').filter(|run| !run.is_empty()) {
            let (skip, take) = run.split_once('+')?;
            let (skip, take): (i64, i64) = (skip.parse().ok()?, take.parse().ok()?);
            if skip < 1 || take < 1 {
                return None;
            }
            let start = at.checked_add(skip)?;
            at = start.checked_add(take)?;
            replayed.beyond.insert(start, at);
        }
        Some(replayed)
    }

    /// The offset to commit.
    pub(super) fn position(&self) -> i64 {
        self.position
    }

    /// The metadata to commit with it: for each run how many offsets are left out before it, and how many it has.
    pub(super) fn text(&self) -> String {
        let mut at = self.position;
        let mut runs = Vec::with_capacity(self.beyond.len());
        for (start, end) in &self.beyond {
            runs.push(format!("{}+{}", start - at, end - start));
            at = *end;
        }
        runs.join(",")
    }

    /// Whether the letter at this offset was replayed.
    pub(super) fn contains(&self, offset: i64) -> bool {
        offset < self.position || self.beyond.range(..=offset).next_back().is_some_and(|(_, end)| offset < *end)
    }

    /// Notes that the partition begins at `low`: what is before it is gone.
    pub(super) fn begin_at(&mut self, low: i64) {
        if low > self.position {
            self.position = low;
            self.settle();
        }
    }

    /// Notes a replayed letter.
    pub(super) fn insert(&mut self, offset: i64) {
        self.insert_run(offset, offset + 1);
    }

    /// Notes that nothing is left at the offsets from `start` up to `end`, which it leaves out.
    pub(super) fn insert_run(&mut self, start: i64, end: i64) {
        if start >= end {
            return;
        }
        let (mut start, mut end) = (start, end);
        // Runs that it touches become one with it.
        while let Some((&before, &until)) = self.beyond.range(..=end).next_back().filter(|(_, until)| **until >= start)
        {
            self.beyond.remove(&before);
            (start, end) = (start.min(before), end.max(until));
        }
        self.beyond.insert(start, end);
        self.settle();
    }

    /// Whether it can be committed: with very many gaps it is too long for the broker.
    pub(super) fn fits(&self) -> bool {
        self.text().len() <= TEXT_BYTES_MAX
    }

    /// Moves the position over the runs that it has reached.
    fn settle(&mut self) {
        while let Some((&start, &end)) = self.beyond.first_key_value() {
            if start > self.position {
                break;
            }
            self.position = self.position.max(end);
            self.beyond.remove(&start);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_position_moves_only_over_what_is_contiguous() {
        let mut replayed = Replayed::parse(10, "").unwrap();
        replayed.insert(12);
        replayed.insert(13);
        replayed.insert(20);
        assert_eq!((replayed.position(), replayed.text().as_str()), (10, "2+2,6+1"));
        replayed.insert(10);
        replayed.insert(11);
        assert_eq!((replayed.position(), replayed.text().as_str()), (14, "6+1"));
        assert_eq!(Replayed::parse(14, "6+1"), Some(replayed));
    }

    #[test]
    fn what_is_gone_counts_as_replayed() {
        let mut replayed = Replayed::parse(0, "5+3").unwrap();
        replayed.begin_at(6);
        assert_eq!((replayed.position(), replayed.text().as_str()), (8, ""));
    }

    #[test]
    fn runs_that_touch_become_one() {
        let mut replayed = Replayed::default();
        for (start, end) in [(5, 7), (9, 11), (20, 21), (7, 9), (3, 30), (8, 8)] {
            replayed.insert_run(start, end);
        }
        assert_eq!((replayed.position(), replayed.text().as_str()), (0, "3+27"));
        replayed.insert_run(0, 4);
        assert_eq!((replayed.position(), replayed.text().as_str()), (30, ""));
    }

    #[test]
    fn a_text_that_is_not_ours_is_refused() {
        for text in ["x", "1", "0+1", "1+0", "-1+2", "1+1,", "9223372036854775807+9"] {
            assert_eq!(Replayed::parse(3, text).is_none(), text != "1+1,", "{text}");
        }
    }

    #[test]
    fn too_many_gaps_do_not_fit() {
        let mut replayed = Replayed::default();
        let full = (0..).find(|n| {
            replayed.insert(2 * n + 1);
            !replayed.fits()
        });
        assert!((500..2_000).contains(&full.unwrap()), "{full:?}");
    }

    proptest! {
        #[test]
        fn it_is_a_set_that_survives_its_text(start in 0_i64..50, offsets in proptest::collection::vec(0_i64..80, 0..60)) {
            let mut replayed = Replayed::parse(start, "").unwrap();
            let mut set: BTreeSet<i64> = (0..start).collect();
            for offset in offsets {
                replayed.insert(offset);
                set.insert(offset);
                let read = Replayed::parse(replayed.position(), &replayed.text());
                prop_assert_eq!(read.as_ref(), Some(&replayed));
            }
            for offset in 0..90 {
                prop_assert_eq!(replayed.contains(offset), set.contains(&offset), "{}", offset);
            }
            let contiguous = (0..).find(|offset| !set.contains(offset)).unwrap();
            prop_assert_eq!(replayed.position(), contiguous);
        }
    }
}
