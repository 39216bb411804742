//! A journal as a process, on a real disk; `schedules.rs` has it in the simulator.

mod schedules;

use towpath::{BoxError, Ctx, Scope, scope};
use towpath_journal::{ErrorKind, Lsn, Options, Writer};
use towpath_patterns::log::{Append, Error, Log};

fn record(number: u64) -> Append {
    Append { kind: 7, key: vec![], payload: number.to_le_bytes().to_vec() }
}

/// Runs a story on a runtime with threads and a fresh journal.
fn with_log<F>(story: impl FnOnce(Scope, Log) -> F + Send + 'static) -> tempfile::TempDir
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let dir = tempfile::tempdir().unwrap();
    let writer = Options::new().segment_bytes(4096).open(dir.path()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime
        .block_on(scope(&Ctx::root(), |s| {
            let log = Log::start(&s, "journal", writer);
            story(s, log)
        }))
        .unwrap();
    dir
}

#[test]
fn an_append_that_returned_is_there_after_opening_again() {
    let dir = with_log(|_, log| async move {
        for number in 1..=10 {
            assert_eq!(log.append(record(number)).await?, Lsn(number));
        }
        assert_eq!(log.append_group(vec![record(11), record(12)]).await?, Lsn(12));
        assert_eq!(log.append_all((13..500).map(record).collect()).await?, Lsn(499));
        assert_eq!(log.append_all(vec![]).await?, Lsn(499));
        assert_eq!(log.durable(), Lsn(499));
        Ok(())
    });
    let writer = Writer::open(dir.path()).unwrap();
    assert_eq!(writer.durable(), Lsn(499));
}

#[test]
fn a_thousand_writers_have_their_records_each_once_and_in_their_order() {
    const WRITERS: u64 = 1000;
    const EACH: u64 = 5;
    let dir = with_log(|s, log| async move {
        let mut joins = Vec::new();
        for writer in 0..WRITERS {
            let log = log.clone();
            joins.push(s.spawn("writer", async move |_ctx: Ctx| {
                let mut last = Lsn::ZERO;
                for number in 0..EACH {
                    let lsn = log.append(record(writer * EACH + number)).await?;
                    assert!(lsn > last);
                    last = lsn;
                }
                Ok::<_, Error>(())
            }));
        }
        for join in joins {
            join.await?;
        }
        Ok(())
    });
    let writer = Writer::open(dir.path()).unwrap();
    let mut reader = writer.reader(Lsn::ZERO).unwrap();
    let mut next = vec![0; WRITERS as usize];
    while let Some(record) = reader.next().unwrap() {
        let number = u64::from_le_bytes(record.payload.try_into().unwrap());
        assert_eq!(number % EACH, next[(number / EACH) as usize]);
        next[(number / EACH) as usize] += 1;
    }
    assert_eq!(next, vec![EACH; WRITERS as usize]);
}

#[test]
fn a_tail_gives_what_is_there_and_what_becomes_durable() {
    with_log(|s, log| async move {
        log.append_all((1..=50).map(record).collect()).await?;
        let mut tail = log.tail(&s, "tail", Lsn(20));
        let mut other = log.tail(&s, "tail", Lsn::ZERO);
        for number in 20..=50 {
            assert_eq!(tail.recv().await.unwrap()?.lsn, Lsn(number));
        }
        for number in 51..=60 {
            log.append(record(number)).await?;
            let appended = tail.recv().await.unwrap()?;
            assert_eq!((appended.lsn, appended.payload), (Lsn(number), record(number).payload));
        }
        // The journal ends, and so do tails, when they have given everything.
        drop(log);
        assert!(tail.recv().await.is_none());
        for number in 1..=60 {
            assert_eq!(other.recv().await.unwrap()?.lsn, Lsn(number));
        }
        assert!(other.recv().await.is_none());
        Ok(())
    });
}

#[test]
fn a_tail_whose_receiver_is_dropped_ends() {
    // The scope would not end otherwise, while the log lives in it.
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::open(dir.path()).unwrap();
    let log = towpath::block_on(scope(&Ctx::root(), |s| {
        let log = Log::start(&s, "journal", writer);
        let tails = s.clone();
        async move {
            let tail = log.tail(&tails, "tail", Lsn::ZERO);
            drop(tail);
            log.append(record(1)).await?;
            Ok(log.durable())
        }
    }));
    assert_eq!(log.unwrap(), Lsn(1));
}

#[test]
fn a_checkpoint_lets_the_past_go() {
    let dir = with_log(|s, log| async move {
        assert_eq!(log.latest_checkpoint().await?, None);
        let lsn = log.append_all((1..=500).map(record).collect()).await?;
        log.checkpoint(lsn, b"state".to_vec()).await?;
        assert_eq!(log.latest_checkpoint().await?.unwrap().state, b"state");
        let oldest = log.retain(lsn).await?;
        assert!(oldest > Lsn(1));
        let gone = log.tail(&s, "tail", Lsn(1)).recv().await.unwrap().unwrap_err();
        assert!(matches!(&gone, Error::Journal(error) if error.kind() == ErrorKind::Missing));
        assert_eq!(log.tail(&s, "tail", Lsn::ZERO).recv().await.unwrap()?.lsn, oldest);
        Ok(())
    });
    assert!(Writer::open(dir.path()).unwrap().oldest() > Lsn(1));
}

#[test]
fn what_is_too_large_is_refused_and_the_rest_goes_on() {
    with_log(|_, log| async move {
        let large = Append { payload: vec![0; 5000], ..record(1) };
        let refused = log.append_group(vec![record(1), large.clone()]).await.unwrap_err();
        assert!(matches!(&refused, Error::Journal(error) if error.kind() == ErrorKind::TooLarge));
        assert_eq!(log.append(record(2)).await?, Lsn(1));
        assert!(log.append_all(vec![record(3), large, record(4)]).await.is_err());
        assert_eq!(log.append(record(5)).await?, Lsn(3));
        Ok(())
    });
}
