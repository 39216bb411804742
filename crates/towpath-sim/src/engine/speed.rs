use std::time::Instant;
use super::*;
use crate::choice::{Choices, Mix, Portfolio};
fn run(name: &str, mix: Mix, n: u64, main: impl Fn() -> BoxMain) {
    let engine = Engine::new(Config::default());
    let mut choices = Choices::new(Portfolio::new(mix));
    let t = Instant::now();
    let (mut steps, mut fails) = (0, 0);
    for seed in 0..n {
        assert!(choices.begin(seed));
        let outcome;
        (choices, outcome) = engine.run(choices, &main, false);
        steps += outcome.steps;
        fails += u64::from(outcome.failure.is_some());
    }
    let s = t.elapsed().as_secs_f64();
    println!("{name:20} {mix:?} {:8.0} schedules/s {:6.2} M steps/s {:5.1} steps/schedule fails {fails}", n as f64 / s, steps as f64 / s / 1e6, steps as f64 / n as f64);
}
#[test]
fn speed() {
  for mix in [Mix::Random, Mix::Pct, Mix::Pos, Mix::Portfolio] {
    run("empty", mix, 100_000, || Box::pin(async {}));
    run("rendezvous", mix, 100_000, || Box::pin(async {
        let (tx, mut rx) = towpath::rendezvous::<u8>();
        let t = towpath::rt::spawn(async move { tx.send(1).await.unwrap() });
        rx.recv().await.unwrap(); t.await.unwrap();
    }));
    run("scope", mix, 50_000, || Box::pin(async {
        let (tx, mut rx) = towpath::rendezvous::<u8>();
        towpath::scope(&towpath::Ctx::root(), |s| async move {
        s.spawn("a", |_| async move { tx.send(1).await });
        rx.recv().await.unwrap(); Ok(()) }).await.unwrap()
    }));
    run("stream 1000", mix, 1000, || Box::pin(async {
        let (tx, mut rx) = towpath::bounded::<u32>(4);
        let t = towpath::rt::spawn(async move { for i in 0..1000 { tx.send(i).await.unwrap() } });
        while rx.recv().await.is_some() {} t.await.unwrap();
    }));
  }
}
