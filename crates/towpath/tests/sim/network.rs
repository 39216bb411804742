//! Networks: run, drained and stopped, in every order of events.

use std::time::Duration;

use towpath::{BoxError, Ctx, Network, Receiver, SendError, Sender, network::Running, rt::spawn};
use towpath_sim::{Ledger, choose};

use crate::tools::all;

const LONG: Duration = Duration::from_secs(3600);

/// Room for everything that comes out.
const ROOM: usize = 64;

type Ports = (Receiver<u32>, Sender<u32>);

async fn double(_: Ctx, (rx, tx): &mut Ports) -> Result<(), SendError<u32>> {
    while let Some(n) = rx.recv().await {
        tx.send(2 * n).await?;
    }
    Ok(())
}

fn double_on_a_thread(_: Ctx, (rx, tx): &mut Ports) -> Result<(), SendError<u32>> {
    while let Some(n) = rx.recv_blocking() {
        tx.send_blocking(2 * n)?;
    }
    Ok(())
}

/// A task and a thread in a line, with queues of some capacity.
fn line() -> (Sender<u32>, Network, Receiver<u32>) {
    let capacity = choose(3) as usize;
    let mut net = Network::new("line");
    let (tx, input) = net.input("input", capacity);
    let (out, middle) = net.channel("middle", capacity);
    net.process("task", (input, out), double);
    let (out, rx) = net.output("output", ROOM);
    net.process_blocking("thread", (middle, out), double_on_a_thread);
    (tx, net, rx)
}

#[towpath::test]
async fn a_network_runs_to_its_end() {
    let (tx, net, mut rx) = line();
    let source = spawn(async move { tx.send_all(1..4).await });
    net.run(&Ctx::root()).await.unwrap();
    assert_eq!(all(&mut rx).await, [4, 8, 12]);
    source.await.unwrap().unwrap();
}

/// Whatever was accepted before the drain comes out, and everything else comes back.
#[towpath::test]
async fn draining_delivers_what_was_accepted() {
    let (tx, net, mut rx) = line();
    let running: Running = net.start(&Ctx::root()).unwrap();
    let books = Ledger::new("messages");
    let entered = books.clone();
    let source = spawn(async move {
        for n in 1..5 {
            entered.enter(4 * n);
            if let Err(SendError(back)) = tx.send(n).await {
                assert_eq!(back, n);
                entered.leave(4 * n);
                return;
            }
        }
    });
    running.drain(LONG).await.unwrap();
    source.await.unwrap();
    for n in all(&mut rx).await {
        books.leave(n);
    }
}

/// Each looks at its context first: a neighbour that has stopped already looks like one that has failed.
#[towpath::test]
async fn a_stopped_network_has_ended() {
    let mut net = Network::new("endless");
    let (numbers, received) = net.channel::<u32>("numbers", 0);
    net.process("source", numbers, async |ctx, tx: &mut Sender<u32>| {
        for n in 0.. {
            towpath::select! { biased;
                cause = ctx.done() => return Err::<(), BoxError>(cause.into()),
                sent = tx.send(n) => sent?,
            }
        }
        Ok(())
    });
    let (out, mut rx) = net.output("output", 1);
    net.process("sink", (received, out), async |ctx, (rx, tx): &mut Ports| {
        loop {
            towpath::select! { biased;
                cause = ctx.done() => return Err::<(), BoxError>(cause.into()),
                got = rx.recv() => {
                    let Some(n) = got else { return Ok(()) };
                    towpath::select! { biased;
                        cause = ctx.done() => return Err(cause.into()),
                        sent = tx.send(n) => sent?,
                    }
                }
            }
        }
    });
    let running = net.start(&Ctx::root()).unwrap();
    let reader = spawn(async move { all(&mut rx).await });
    running.stop("enough").await.unwrap();
    let got = reader.await.unwrap();
    assert!(got.iter().copied().eq(0..got.len() as u32), "{got:?}");
}

#[towpath::test]
async fn an_error_ends_the_network() {
    let (tx, mut net, _rx) = line();
    let (_side, port) = net.input::<u32>("side", 1);
    net.process("fails", port, async |_, _: &mut Receiver<u32>| {
        Err::<(), BoxError>("out of order".into())
    });
    let source = spawn(async move {
        let mut sent = 0;
        while sent < 3 && tx.send(sent).await.is_ok() {
            sent += 1;
        }
    });
    let error = net.run(&Ctx::root()).await.unwrap_err();
    assert_eq!(error.process().map(ToString::to_string).as_deref(), Some("fails"));
    source.await.unwrap();
}
