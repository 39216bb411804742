//! Shapes of processes that are lent their ports.

use std::sync::Arc;

use towpath::{
    BoxError, Ctx, Receiver, SendError, Sender,
    network::Network,
    supervisor::{OnExit, Strategy, Supervisor},
};

type Ports = (Receiver<u32>, Sender<u32>);

struct Desk(u32);

impl Desk {
    async fn work(self: Arc<Self>, _: Ctx, (rx, tx): &mut Ports) -> Result<(), BoxError> {
        while let Some(n) = rx.recv().await {
            tx.send(n + self.0).await?;
        }
        Ok(())
    }
}

async fn function(_: Ctx, ports: &mut Ports) {
    while let Some(n) = ports.0.recv().await {
        drop(ports.1.send(n).await);
    }
}

async fn pattern(_: Ctx, (rx, tx): &mut Ports) -> Result<(), SendError<u32>> {
    match rx.recv().await {
        Some(n) => tx.send(n).await,
        None => Ok(()),
    }
}

fn main() {
    let desk = Arc::new(Desk(1));
    let mut net = Network::new("net");
    let mut supervisor = Supervisor::new("supervisor", Strategy::OneForOne);
    let mut ports = || {
        let (out, rx) = net.channel::<u32>("a", 1);
        drop(rx);
        let (_, rx) = net.channel::<u32>("a", 1);
        (rx, out)
    };
    let (first, second, third, fourth) = (ports(), ports(), ports(), ports());
    net.process("function", first, function).process("pattern", second, pattern);
    let method = desk.clone();
    net.process("method", third, async move |ctx, ports| method.work(ctx, ports).await);
    let mut counted = 0;
    net.process_blocking("blocking", fourth, move |_, (rx, tx)| {
        while let Some(n) = rx.recv_blocking() {
            counted += 1;
            tx.send_blocking(n + counted)?;
        }
        Ok::<(), SendError<u32>>(())
    });
    let (tx, rx) = towpath::bounded::<u32>(1);
    supervisor.child("method", OnExit::Stop, (rx, tx), async move |ctx, ports| {
        desk.clone().work(ctx, ports).await
    });
    drop(supervisor);
}
