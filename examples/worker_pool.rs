//! A translators' office: many hands, one book, and the pages come out in order.
//!
//! The desk numbers the pages and puts them into one tray. Each translator, a thread of its own, takes the next page as
//! soon as it is free: `into_shared` says aloud that several take from the same tray. Finished pages arrive at the binder
//! in whatever order they are finished. The binder keeps those that are early and binds each as soon as all before it
//! are bound, so the book is right although nobody waits for the slow page next door.
//!
//! ```text
//!                    ┌──▶ translator 1 ──┐
//!   desk ──pages──▶──┼──▶ translator 2 ──┼──▶ finished ──▶ binder ──▶ the book, in order
//!                    └──▶ translator 3 ──┘
//! ```
//!
//! How many pages can be early? No more than there are pages on the way: the tray, one in each pair of hands, the finished
//! ones. If one page took a year, the others would still go on; a desk that must not run ahead so far counts them with
//! permits (`docs/book`, "From Go to Towpath").

use std::collections::BTreeMap;

use towpath::{BoxError, Ctx, Receiver, Sender, SharedReceiver, scope};

/// Translators: as many as there are chairs.
const TRANSLATORS: usize = 3;
/// Pages in the tray: one for each translator, so that a free one finds the next at once.
const TRAY: usize = TRANSLATORS;
/// Finished pages on the binder's table. It is faster than three translators, so a few places do.
const TABLE: usize = 2;

const BOOK: [&str; 7] = [
    "the boat waits at the lock",
    "water comes in without haste",
    "the keeper counts to forty",
    "a heron looks on",
    "the gates swing open",
    "the horse leans into the line",
    "and the towpath is long",
];

struct Page {
    number: usize,
    text: String,
}

/// Into the language of the mirror people.
fn translate(text: &str) -> String {
    let mirrored = text.split(' ').map(|word| word.chars().rev().collect::<String>());
    mirrored.collect::<Vec<_>>().join(" ")
}

/// Puts the pages into the tray.
async fn desk(pages: Sender<Page>) -> Result<(), BoxError> {
    let numbered = BOOK.iter().zip(1..);
    pages.send_all(numbered.map(|(text, number)| Page { number, text: (*text).into() })).await?;
    Ok(())
}

/// Takes pages until there are no more. Returns how many it had.
fn translator(mut tray: SharedReceiver<Page>, table: Sender<Page>) -> Result<usize, BoxError> {
    let mut pages = 0;
    while let Some(Page { number, text }) = tray.recv_blocking() {
        table.send_blocking(Page { number, text: translate(&text) })?;
        pages += 1;
    }
    Ok(pages)
}

/// Binds pages in order; the last translator to go home ends the table.
async fn binder(mut table: Receiver<Page>) -> Result<usize, BoxError> {
    let mut early = BTreeMap::new();
    let mut next = 1;
    while let Some(Page { number, text }) = table.recv().await {
        early.insert(number, text);
        while let Some(text) = early.remove(&next) {
            println!("{next}. {text}");
            next += 1;
        }
    }
    if early.is_empty() { Ok(next - 1) } else { Err(format!("page {next} is missing").into()) }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (bound, translated) = scope(&Ctx::root(), |s| async move {
        let (pages, tray) = towpath::bounded(TRAY);
        let (finished, table) = towpath::bounded(TABLE);
        let tray = tray.into_shared();

        s.spawn("desk", move |_| desk(pages));
        let translators: Vec<_> = (1..=TRANSLATORS)
            .map(|chair| {
                let (tray, table) = (tray.clone(), finished.clone());
                s.spawn_blocking(format!("translator {chair}"), move |_| translator(tray, table))
            })
            .collect();
        // The table ends when nobody can put a page on it any more: this sender would keep it open for ever.
        drop((tray, finished));
        let binder = s.spawn("binder", move |_| binder(table));

        let mut translated = 0;
        for translator in translators {
            translated += translator.await?;
        }
        Ok((binder.await?, translated))
    })
    .await?;
    println!("{translated} pages translated by {TRANSLATORS}, {bound} bound");
    Ok(())
}
