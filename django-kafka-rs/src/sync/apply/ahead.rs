//! Messages decoded before their batch's turn has come, while the batch before it is written.

use std::sync::Arc;

use super::ModelSync;
use super::item::Item;
use crate::error::ConsumeError;
use crate::record::RawRecord;

/// What messages ask for, as far as it is known already.
#[derive(Default)]
pub(crate) struct Ahead(std::vec::IntoIter<(Arc<RawRecord>, Option<Item>)>);

impl Ahead {
    fn next(&self) -> Option<&Arc<RawRecord>> {
        self.0.as_slice().first().map(|(record, _)| record)
    }
}

impl ModelSync {
    /// Decodes messages that a later [`ModelSync::apply`] may be given.
    ///
    /// It ends before the first that fails: what is to become of that is asked for when its turn has come, and it may
    /// be another one then (a schema registry that is away).
    pub(crate) fn decode_ahead(&self, records: Vec<Arc<RawRecord>>) -> Ahead {
        let decoded = records.into_iter().map_while(|record| {
            let item = self.decode(0, &record).ok()?;
            Some((record, item))
        });
        Ahead(decoded.collect::<Vec<_>>().into_iter())
    }

    /// What the batch's message of this index asks for.
    pub(super) fn item_of(
        &self,
        ahead: &mut Ahead,
        index: usize,
        record: &Arc<RawRecord>,
    ) -> Result<Option<Item>, ConsumeError> {
        // A batch may begin elsewhere than was expected.
        while ahead.next().is_some_and(|next| next.offset < record.offset) {
            ahead.0.next();
        }
        if !ahead.next().is_some_and(|next| Arc::ptr_eq(next, record)) {
            return self.decode(index, record);
        }
        let mut item = ahead.0.next().and_then(|(_, item)| item);
        if let Some(item) = &mut item {
            item.index = index;
        }
        Ok(item)
    }
}
