//! Dead letters on a real disk: what is told about them, and that it is the same after opening again.

use std::path::Path;

use towpath::{Ctx, Headers, Scope, block_on, scope};
use towpath_journal::Writer;
use towpath_patterns::fault::{
    Class, Failure,
    dead::{DeadLetters, Error, LetterId, Limits, Pace, Pick, Status, Step},
};

use super::letter;

/// Opens the store below `path`, runs the body, and closes it.
fn with_dead<F, Fut>(path: &Path, limits: Limits, body: F)
where
    F: FnOnce(Scope, DeadLetters) -> Fut,
    Fut: Future<Output = Result<(), towpath::BoxError>>,
{
    let run = scope(&Ctx::root(), |s| async move {
        let dead = DeadLetters::open_with(&s, "orders", Writer::open(path)?, limits)?;
        body(s, dead).await
    });
    block_on(run).unwrap();
}

fn twice(body: impl AsyncFn(DeadLetters, bool)) {
    let dir = tempfile::tempdir().unwrap();
    for again in [false, true] {
        with_dead(dir.path(), Limits::default(), |_, dead| async {
            body(dead, again).await;
            Ok(())
        });
    }
}

#[test]
fn letters_are_listed_shown_and_grouped_also_after_opening_again() {
    twice(async |dead, again| {
        if !again {
            for number in 1..=5 {
                let reason = if number % 2 == 0 { "no stock" } else { "no price" };
                let letter = letter(&format!("order {number}"), reason)
                    .with_headers(Headers::new(*b"trace"));
                assert_eq!(dead.put(letter).await.unwrap(), LetterId(number));
            }
        }
        let groups: Vec<_> = dead.groups().await.unwrap();
        let groups: Vec<_> = groups.iter().map(|it| (it.cause.as_str(), it.letters)).collect();
        assert_eq!(groups, [("no price", 3), ("no stock", 2)]);
        let page = dead.list(Pick::all(), LetterId(2), 2).await.unwrap();
        assert_eq!(page.iter().map(|it| it.id.0).collect::<Vec<_>>(), [3, 4]);
        let picked = Pick::all().cause("no stock").process("parser");
        assert_eq!(dead.list(picked, LetterId(0), 9).await.unwrap().len(), 2);
        assert_eq!(dead.list(Pick::all().process("x"), LetterId(0), 9).await.unwrap(), []);
        let shown = dead.show(LetterId(4)).await.unwrap();
        assert_eq!(shown.payload.as_deref(), Some(&b"order 4"[..]));
        assert_eq!(
            (shown.key.as_slice(), shown.headers.as_bytes()),
            (&b"orders/4"[..], &b"trace"[..])
        );
        assert_eq!((shown.summary.class, shown.summary.status), (Class::Schema, Status::Waiting));
        assert!(matches!(dead.show(LetterId(6)).await, Err(Error::Unknown(LetterId(6)))));
    });
}

#[test]
fn a_message_is_one_letter_however_often_it_fails() {
    twice(async |dead, again| {
        if again {
            let shown = dead.show(LetterId(1)).await.unwrap();
            assert_eq!((shown.summary.failures, shown.summary.replays), (4, 2));
            assert_eq!(shown.summary.status, Status::Waiting);
            assert_eq!(shown.payload.as_deref(), Some(&b"order 7, mended"[..]));
            return;
        }
        let ctx = Ctx::root();
        let put = |text: &'static str| dead.put(letter(text, "no price").with_key("order-7"));
        assert_eq!(put("order 7").await.unwrap(), LetterId(1));
        assert_eq!(put("order 7").await.unwrap(), LetterId(1));
        // It fails in a replay,
        let failed = dead.replay(&ctx, Pick::all(), Pace::UNLIMITED, async |_, replay| {
            assert_eq!((replay.key.as_slice(), replay.failures), (&b"order-7"[..], 2));
            Err(Failure::transient("busy"))
        });
        assert_eq!(failed.await.unwrap().failed, 1);
        assert_eq!(dead.groups().await.unwrap()[0].cause, "busy");
        // and goes well, edited; but whoever handles it next puts it again, under the key that it had there.
        dead.edit(LetterId(1), "order 7, mended", "a typo").await.unwrap();
        let well = dead.replay(&ctx, Pick::one(LetterId(1)), Pace::UNLIMITED, async |_, replay| {
            assert_eq!(
                (replay.key.as_slice(), replay.payload.as_slice()),
                (&b"order-7/e1"[..], &b"order 7, mended"[..])
            );
            Ok::<_, Failure>(())
        });
        assert_eq!(well.await.unwrap().went_well, 1);
        assert_eq!(dead.show(LetterId(1)).await.unwrap().summary.status, Status::Replayed);
        assert!(matches!(dead.discard(LetterId(1), "").await, Err(Error::Closed(_))));
        let back = letter("order 7, mended", "no stock").with_key("order-7/e1");
        assert_eq!(dead.put(back).await.unwrap(), LetterId(1));
        let history = dead.show(LetterId(1)).await.unwrap().history;
        let words: Vec<_> = history
            .iter()
            .map(|step| match step {
                Step::Failed(fault) => fault.cause.as_str(),
                Step::Taken { .. } => "taken",
                Step::FailedAgain { fault, .. } => fault.cause.as_str(),
                Step::Replayed { .. } => "replayed",
                Step::Edited { note, .. } => note,
                _ => "?",
            })
            .collect();
        assert_eq!(
            words,
            ["no price", "no price", "taken", "busy", "a typo", "taken", "replayed", "no stock"]
        );
    });
}

#[test]
fn a_dry_run_changes_nothing_and_discarded_letters_are_not_replayed() {
    twice(async |dead, again| {
        let ctx = Ctx::root();
        if !again {
            for number in 1..=30 {
                dead.put(letter(&format!("order {number:02}"), "no price")).await.unwrap();
            }
            dead.discard(LetterId(30), "a test order").await.unwrap();
            let dry = dead.dry_run(Pick::all(), Pace::per_second(2.0)).await.unwrap();
            assert_eq!((dry.letters, dry.payload_bytes, dry.first.len()), (29, 29 * 8, 20));
            assert_eq!(dry.at_least.as_secs(), 14);
            assert!(dead.unfinished().await.unwrap().is_empty());
            assert_eq!(dead.show(LetterId(1)).await.unwrap().summary.replays, 0);
            return;
        }
        let mut seen = Vec::new();
        let done = dead.replay(&ctx, Pick::all(), Pace::UNLIMITED, |_, replay| {
            seen.push(replay.id.0);
            async { Ok::<_, Failure>(()) }
        });
        assert_eq!(done.await.unwrap().went_well, 29);
        assert_eq!(seen, (1..=29).collect::<Vec<_>>());
        assert_eq!(dead.dry_run(Pick::all(), Pace::UNLIMITED).await.unwrap().letters, 0);
    });
}

#[test]
fn a_handler_that_panics_is_a_failure_with_its_place() {
    twice(async |dead, again| {
        if again {
            return;
        }
        dead.put(letter("order 0", "no price")).await.unwrap();
        dead.put(letter("order 1", "no price")).await.unwrap();
        let ctx = Ctx::root();
        let done = dead.replay(&ctx, Pick::all(), Pace::UNLIMITED, async |_, replay| {
            assert_ne!(replay.payload, b"order 0", "nobody thought of that");
            Ok::<_, Failure>(())
        });
        let done = done.await.unwrap();
        assert_eq!((done.went_well, done.failed), (1, 1));
        let shown = dead.show(LetterId(1)).await.unwrap();
        let Some(Step::FailedAgain { fault, .. }) = shown.history.last() else {
            panic!("{shown:?}")
        };
        assert_eq!(fault.class, Class::Panic);
        assert!(fault.message.contains("nobody thought of that"));
        assert!(fault.at.as_ref().unwrap().contains("dead.rs:"));
    });
}

#[test]
fn a_full_store_refuses_and_keeps_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { letters_max: 2, ..Limits::default() };
    with_dead(dir.path(), limits, |_, dead| async move {
        for number in 0..2 {
            dead.put(letter(&format!("order {number}"), "no price").with_key([number])).await?;
        }
        assert!(matches!(dead.put(letter("x", "y")).await, Err(Error::Full { letters: 2 })));
        // What is known joins.
        dead.put(letter("order 1", "no stock").with_key([1])).await?;
        dead.discard(LetterId(1), "room").await?;
        dead.put(letter("x", "y")).await?;
        Ok(())
    });
}

/// Old letters move forward and checkpoints stand for the rest, so neither the disk nor the next start grows with what was.
#[test]
fn hundreds_come_and_go_and_the_old_ones_are_still_there() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { checkpoint_every: 20, ..Limits::default() };
    for round in 0..3 {
        with_dead(dir.path(), limits, |s, dead| async move {
            if round == 0 {
                for number in 1..=3 {
                    dead.put(letter(&format!("old {number}"), "old")).await?;
                }
            }
            for number in 0..80 {
                dead.put(letter(&format!("new {number}"), "new")).await?;
            }
            let done =
                dead.replay(s.ctx(), Pick::all().cause("new"), Pace::UNLIMITED, async |_, _| {
                    Ok::<_, Failure>(())
                });
            assert_eq!(done.await?.went_well, 80);
            for number in 1..=3 {
                let shown = dead.show(LetterId(number)).await?;
                assert_eq!(shown.payload, Some(format!("old {number}").into_bytes()));
            }
            Ok(())
        });
        let writer = Writer::open(dir.path()).unwrap();
        let checkpoint = writer.latest_checkpoint().unwrap().unwrap();
        // The thread keeps a last one when it ends.
        assert_eq!(checkpoint.lsn, writer.durable());
    }
}
