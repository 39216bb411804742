//! A workshop that runs other people's jobs in sandboxes: making one takes half a second, using one again takes nothing.
//!
//! The first job of the day waits for its sandbox, the next finds it warm. One sandbox leaks and is not lent again. A customer who
//! talks with a sandbox over a channel has it *tied* to that channel: whoever hangs up first, and however, the sandbox
//! comes back and the folder of the conversation is gone. Then comes the busy hour, for which the pool makes sandboxes ahead
//! (Little's law, and what it learns from misses), and the night, in which it lets them go.
//!
//! ```text
//!   jobs ──lend──▶ pool ──makes, checks, closes──▶ sandboxes (folders)
//!   customer ◀──channel──▶ clerk          lease and folder are tied to the channel
//! ```

use std::{error::Error, path::PathBuf, time::Duration};

use tempfile::TempDir;
use towpath::{BoxError, Ctx, bounded, rt, scope};
use towpath_patterns::{
    fault::Failure,
    pool::{Factory, Lease, Options, Pool, Refused},
};

/// Sandboxes that the machine has room for.
const SANDBOXES: usize = 8;

/// Words that a customer may be ahead of the clerk.
const WORDS: usize = 4;

/// A folder that is nobody else's.
struct Sandbox {
    number: u32,
    dir: TempDir,
    leaks: bool,
}

/// Makes them, and numbers them.
#[derive(Default)]
struct Workshop(std::sync::atomic::AtomicU32);

impl Factory for Workshop {
    type Instance = Sandbox;
    type Error = Failure;

    async fn make(&self, _ctx: Ctx) -> Result<Sandbox, Failure> {
        rt::sleep(Duration::from_millis(500)).await;
        let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let dir = tempfile::tempdir().map_err(Failure::transient)?;
        Ok(Sandbox { number, dir, leaks: false })
    }

    async fn is_healthy(&self, sandbox: &mut Sandbox) -> bool {
        !sandbox.leaks
    }
}

type Warm = Pool<Workshop>;

/// Borrows and says how long that took.
async fn borrow(pool: &Warm, ctx: &Ctx) -> Result<Lease<Workshop>, Refused> {
    let begun = rt::now();
    let sandbox = pool.lend(ctx).await?;
    let waited = rt::now().duration_since(begun).as_millis();
    println!("sandbox {} after {waited} ms, use {}", sandbox.number, sandbox.uses());
    Ok(sandbox)
}

/// A customer talks until it falls over its own words; the clerk listens.
async fn conversation(pool: &Warm, ctx: &Ctx) -> Result<PathBuf, BoxError> {
    let sandbox = borrow(pool, ctx).await?;
    let notes = tempfile::tempdir_in(sandbox.dir.path())?;
    let folder = notes.path().to_owned();
    let (words, mut said) = bounded::<&str>(WORDS);
    // Dropped in this order when both have gone: the notes, then the lease.
    words.tie(sandbox);
    words.tie(notes);
    let before = pool.snapshot().lent;
    let talk = scope(ctx, |s| async move {
        s.spawn("customer", move |_| async move {
            for word in ["saw", "hammer", "nail"] {
                words.send(word).await?;
            }
            Err::<(), BoxError>("the line is dead".into())
        });
        s.spawn("clerk", move |_| async move { while said.recv().await.is_some() {} });
        Ok(())
    });
    if let Err(error) = talk.await {
        let why = error.source().map(ToString::to_string).unwrap_or_default();
        println!("{before} lent; {error}: {why}; {} lent", pool.snapshot().lent);
    }
    Ok(folder)
}

/// Somebody comes every two seconds and stays for seven.
async fn busy_hour(pool: &Warm, ctx: &Ctx) -> Result<(), BoxError> {
    let before = pool.snapshot().counts;
    let crowd = scope(ctx, |s| async move {
        for _ in 0..1800 {
            rt::sleep(Duration::from_secs(2)).await;
            let pool = pool.clone();
            s.spawn("job", move |ctx| async move {
                let sandbox = pool.lend(&ctx).await?;
                rt::sleep(Duration::from_secs(7)).await;
                drop(sandbox);
                Ok::<_, Refused>(())
            });
        }
        Ok(())
    });
    // The jobs borrow the pool, so this waits for them.
    crowd.await?;
    let after = pool.snapshot().counts;
    let (hits, misses) = (after.hits - before.hits, after.misses - before.misses);
    println!("busy hour: {hits} warm, {misses} cold, {} sandboxes made", after.made - before.made);
    Ok(())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    let left = scope(&Ctx::root(), |s| async move {
        let pool = Pool::start(&s, "sandboxes", Workshop::default(), Options::new(SANDBOXES));
        let ctx = s.ctx();

        drop(borrow(&pool, ctx).await?); // cold
        drop(borrow(&pool, ctx).await?); // warm
        borrow(&pool, ctx).await?.leaks = true;
        drop(borrow(&pool, ctx).await?); // not the one that leaks

        let folder = conversation(&pool, ctx).await?;
        println!("notes: {}", if folder.exists() { "still there" } else { "gone" });

        busy_hour(&pool, ctx).await?;
        rt::sleep(Duration::from_secs(12 * 3600)).await;
        let night = pool.snapshot();
        println!("night: {} idle, {} wanted", night.idle, night.size);
        Ok(borrow(&pool, ctx).await?.dir.path().to_owned())
    })
    .await?;
    println!(
        "the pool has ended: {}",
        if left.exists() { "a folder is left" } else { "no folder is left" }
    );
    Ok(())
}
