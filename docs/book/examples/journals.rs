//! What the chapter on the journal shows.

use towpath::{BoxError, Ctx, scope};
use towpath_journal::{Entry, Lsn, Reader, Writer};
use towpath_patterns::log::{Append, Error, Log};

/// What a record's payload is, numbered by us.
const PAID: u16 = 1;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let dir = std::env::temp_dir().join(format!("towpath-book-journal-{}", std::process::id()));

    // ANCHOR: write
    let mut writer = Writer::open(&dir)?;
    writer.append(Entry { kind: PAID, key: b"order-7", payload: b"12.50" })?;
    let entry = |payload| Entry { kind: PAID, key: b"order-8", payload };
    writer.append_group(&[entry(b"3.00"), entry(b"4.00")])?; // both or none
    let durable = writer.commit()?; // one fdatasync for all three
    println!("durable up to {durable}");
    // ANCHOR_END: write

    // ANCHOR: read
    let mut reader = Reader::open(&dir, Lsn(2))?;
    while let Some(record) = reader.next()? {
        println!("{}: {}", record.lsn, String::from_utf8_lossy(record.payload));
    }
    // ANCHOR_END: read

    // ANCHOR: checkpoint
    writer.checkpoint(durable, b"in all 19.50")?;
    writer.retain(durable.next())?; // whole segments only, so nothing goes yet
    drop(writer);

    let writer = Writer::open(&dir)?; // after a crash, too
    let state = writer.latest_checkpoint()?.expect("there is one");
    let mut tail = writer.reader(state.lsn.next())?; // what came after it
    println!("{}, then {:?}", String::from_utf8_lossy(&state.state), tail.next()?);
    // ANCHOR_END: checkpoint

    // ANCHOR: log
    let appended = scope(&Ctx::root(), |s| async move {
        let log = Log::start(&s, "orders", writer); // a thread of the scope
        let mut tail = log.tail(&s, "watcher", Lsn(4));
        for order in 0..100_u32 {
            let log = log.clone();
            s.spawn("customer", async move |_ctx: Ctx| {
                let payload = order.to_le_bytes().to_vec();
                log.append(Append { kind: PAID, key: vec![], payload }).await?; // durable now
                Ok::<_, Error>(())
            });
        }
        drop(log);
        let mut seen = 0;
        while let Some(record) = tail.recv().await {
            assert_eq!(record?.lsn, Lsn(4 + seen));
            seen += 1;
        }
        Ok(seen)
    });
    println!("{} more", appended.await?);
    // ANCHOR_END: log
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
