//! Many writers: tasks that each append a record and wait until it is durable.
//!
//! Stores without a process of their own stand behind one like `towpath_patterns::log`: a channel of requests, a thread that
//! takes all that wait, commits them at once, and answers each.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use towpath::{Ctx, Sender, bounded, scope};
use towpath_journal::Writer;
use towpath_patterns::log::{Append, Log};

use super::stores::{RECORD_BYTES, Store};
use super::{Sample, sample};

/// As many as `towpath_patterns::log` takes at once.
const BATCH_CAPACITY: usize = 1024;

/// An answer is sent once.
const REPLY_CAPACITY: usize = 1;

/// The journal, by its own process.
pub(super) fn by_log(dir: &Path, writers: usize, records: usize) -> Result<Sample, String> {
    let writer = Writer::open(dir).map_err(|error| error.to_string())?;
    Ok(with_writers(writers, records, move |s| {
        let log = Log::start(s, "journal", writer);
        move |_| {
            let log = log.clone();
            async move {
                let record = Append { kind: 1, key: Vec::new(), payload: vec![0x5a; RECORD_BYTES] };
                log.append(record).await.expect("appended");
            }
        }
    }))
}

/// Any store, behind a channel.
pub(super) fn by_store(mut store: Box<dyn Store>, writers: usize, records: usize) -> Sample {
    with_writers(writers, records, move |s| {
        let (tx, mut rx) = bounded::<(u64, Vec<u8>, Sender<()>)>(BATCH_CAPACITY);
        s.spawn_blocking("store", move |_| {
            let (mut batch, mut replies) = (Vec::new(), Vec::new());
            while rx.recv_many_blocking(&mut batch, BATCH_CAPACITY) > 0 {
                for (number, record, reply) in batch.drain(..) {
                    store.put(number, &record);
                    replies.push(reply);
                }
                store.commit();
                for reply in replies.drain(..) {
                    let _ = reply.try_send(()); // who waits, waits
                }
            }
        });
        move |number| {
            let tx = tx.clone();
            async move {
                let (reply, mut answer) = bounded(REPLY_CAPACITY);
                tx.send((number, vec![0x5a; RECORD_BYTES], reply)).await.expect("the store lives");
                answer.recv().await.expect("an answer");
            }
        }
    })
}

fn with_writers<S, A, F>(writers: usize, records: usize, start: S) -> Sample
where
    S: FnOnce(&towpath::Scope) -> A + Send + 'static,
    A: Fn(u64) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let left = Arc::new(AtomicU64::new(records as u64));
    let (took, mut waits) = runtime
        .block_on(scope(&Ctx::root(), move |s| async move {
            let append = start(&s);
            let began = Instant::now();
            let joins: Vec<_> = (0..writers)
                .map(|_| {
                    let (append, left) = (append.clone(), Arc::clone(&left));
                    s.spawn("writer", async move |_ctx: Ctx| {
                        Ok::<_, towpath::BoxError>(write(append, &left).await)
                    })
                })
                .collect();
            let mut waits = Vec::new();
            for join in joins {
                waits.extend(join.await?);
            }
            Ok((began.elapsed(), waits))
        }))
        .expect("the scope ends well");
    sample(waits.len(), took, &mut waits)
}

/// One writer: how long it waited for each of its records.
async fn write<F: Future<Output = ()>>(
    append: impl Fn(u64) -> F,
    left: &AtomicU64,
) -> Vec<Duration> {
    let mut waits = Vec::new();
    loop {
        // Relaxed: a counter that nothing else depends on.
        let number = left.fetch_sub(1, Ordering::Relaxed);
        if number == 0 || number > u64::MAX / 2 {
            return waits;
        }
        let began = Instant::now();
        append(number).await;
        waits.push(began.elapsed());
    }
}
