//! A journal as a process.

use towpath::{Ctx, scope};
use towpath_journal::{Lsn, Writer};
use towpath_patterns::log::{Append, Log};

#[test]
fn an_append_that_returned_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::open(dir.path()).unwrap();
    towpath::block_on(scope(&Ctx::root(), |s| {
        let log = Log::start(&s, "journal", writer);
        async move {
            for number in 1..=10 {
                let record = Append { kind: 7, key: vec![], payload: vec![number] };
                assert_eq!(log.append(record).await?, Lsn(u64::from(number)));
            }
            Ok(())
        }
    }))
    .unwrap();
    let writer = Writer::open(dir.path()).unwrap();
    assert_eq!(writer.durable(), Lsn(10));
}
