//! The first error ends the scope's context; the later ones are kept beside it.
use std::error::Error as _;
use towpath::{BoxError, Ctx, Error, scope};

fn text(error: &Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

#[tokio::main]
async fn main() {
    let result: Result<(), Error> = scope(&Ctx::root(), |s| async move {
        s.spawn("journal", |_| async { Err::<(), _>("the disk is full") });
        s.spawn("printer", |ctx| async move {
            ctx.done().await;
            Err::<(), BoxError>("half a page is lost".into())
        });
        Ok(())
    })
    .await;
    if let Err(first) = result {
        println!("first: {}", text(&first));
        for later in first.later() {
            println!("later: {}", text(later));
        }
    }
}
