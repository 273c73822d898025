//! What a log says of records that retention dropped.

use tidings_hub::{Interest, Position, ReadError, ReadQuery};

use super::{Retention, Stores, fill, interest, positions, query, read};

/// Expired reads name the oldest remaining record.
pub fn reading_before_the_oldest_record_is_an_error(stores: &dyn Stores) {
    let store = stores.fresh(Retention { bytes: 256 << 10, ..Retention::ALL });
    fill(&*store, 4_000);
    let first = store.bounds().first;
    assert!(first > Position::new(1), "something was dropped");
    for wanted in [None, Some(&interest(&["topic/1"], &[])), Some(&interest(&["topic/*"], &[]))] {
        match store.read(&query(first.get() - 2, wanted)) {
            Err(ReadError::Expired { first: said, lost }) => {
                assert_eq!((said, lost), (first, first.previous()));
            }
            other => panic!("{other:?}"),
        }
        let page = read(&*store, query(first.get() - 1, wanted));
        assert!(!page.records.is_empty());
        // A reader that was told of the loss gets what there is, and nothing else.
        let told = ReadQuery { told: first.previous(), ..query(0, wanted) };
        let rest = read(&*store, told);
        assert_eq!(
            (positions(&rest.records), rest.reached),
            (positions(&page.records), page.reached)
        );
        let everything = Interest::everything();
        let wanted = wanted.unwrap_or(&everything);
        let lost = |after| store.lost(wanted, after).expect("nothing has to be read");
        assert_eq!(lost(Position::ZERO), Some(first.previous()));
        assert_eq!(lost(first.previous().previous()), Some(first.previous()));
        assert_eq!(lost(first.previous()), None);
    }
}
