//! Somebody waits for an end that nobody announces.
//!
//! | kernel | who waits | what ends it here |
//! |---|---|---|
//! | `grpc_1275` | a reader for the end of its stream | the stream owns the sending end; to close it is to drop it |
//! | `grpc_1424` | a parent for its watcher's `done` | the watcher owns the sending end; every way out drops it |
//! | `kubernetes_70277` | a poller for the word to stop | the word is a guard, and the scope waits for the poller |

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use towpath::{BoxError, Ctx, Receiver, Sender, bounded, rendezvous, rt, scope};

use super::go::Chan;
use crate::{Class, Fate, Kernel, Stuck, Symptom, program};

pub(super) const KERNELS: &[Kernel] =
    &[grpc_1275::KERNEL, grpc_1424::KERNEL, kubernetes_70277::KERNEL];

const SOURCE: &str = include_str!("chan_end.rs");

mod grpc_1275 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "grpc_1275",
        class: Class::Chan,
        shape: "A reader waits at its stream's buffer. Closing the stream forgets to say so in the buffer, and then \
                waits for the reader.",
        fate: Fate::Value,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "spawned", object: Some("buffer") },
            Stuck { process: "main", object: None },
        ],
        timers: false,
        go_of_100: Some(100),
        note: "The stream owns the sending end. To close it is to drop it, and the reader gets `None`.",
        source: SOURCE,
    };

    /// Chunks that a stream holds until they are read.
    const BUFFER: usize = 2;

    async fn owned() {
        let read = scope(&Ctx::root(), |s| async move {
            let (stream, mut buffer) = bounded(BUFFER);
            let reader = s.spawn("reader", |_| async move {
                let mut read = Vec::new();
                while let Some(chunk) = buffer.recv().await {
                    read.push(chunk);
                }
                Ok::<_, BoxError>(read)
            });
            stream.send("hello").await?;
            drop(stream); // the close: there is nothing that it could forget
            Ok(reader.await?)
        });
        assert_eq!(read.await.expect("nobody fails"), ["hello"]);
    }

    enum Frame {
        Chunk(&'static str),
        End,
    }

    struct Stream {
        buffer: Chan<Frame>,
        closed: AtomicBool,
    }

    impl Stream {
        fn new() -> Arc<Self> {
            let buffer = Chan::new("buffer", bounded(BUFFER));
            Arc::new(Self { buffer, closed: AtomicBool::new(false) })
        }

        async fn write(&self, chunk: &'static str) {
            if !self.closed.load(Ordering::Acquire) {
                assert!(self.buffer.tx.send(Frame::Chunk(chunk)).await.is_ok());
            }
        }

        /// Tells those who write.
        fn close(&self) {
            self.closed.store(true, Ordering::Release);
        }

        /// Tells the reader.
        async fn end(&self) {
            assert!(self.buffer.tx.send(Frame::End).await.is_ok());
        }
    }

    async fn read(stream: Arc<Stream>) -> Vec<&'static str> {
        let mut buffer = stream.buffer.rx.clone();
        let mut read = Vec::new();
        loop {
            let frame = buffer.recv().await; // stuck: spawned
            match frame {
                Some(Frame::Chunk(chunk)) => read.push(chunk),
                Some(Frame::End) | None => return read,
            }
        }
    }

    async fn shared() {
        let stream = Stream::new();
        let reader = rt::spawn(read(stream.clone()));
        stream.write("hello").await;
        stream.close();
        let _ = reader.await; // stuck: main
    }

    async fn fixed() {
        let stream = Stream::new();
        let reader = rt::spawn(read(stream.clone()));
        stream.write("hello").await;
        stream.close();
        stream.end().await;
        assert_eq!(reader.await.expect("it reads to the end"), ["hello"]);
    }
}

mod grpc_1424 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "grpc_1424",
        class: Class::Chan,
        shape: "A watcher goes through updates until they end, and has to announce that it is done. One way out does \
                not, and the parent waits for the announcement.",
        fate: Fate::Value,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Deadlock,
        stuck: &[Stuck { process: "main", object: Some("done") }],
        timers: false,
        go_of_100: Some(100),
        note: "The watcher owns the sending end of `done`. Whichever way it leaves, the parent gets `None`.",
        source: SOURCE,
    };

    /// Updates that wait for the watcher.
    const UPDATES: usize = 1;

    #[derive(PartialEq)]
    enum Update {
        Up,
        Refused,
    }

    async fn watch(mut updates: Receiver<Update>, done: Sender<()>) {
        while let Some(update) = updates.recv().await {
            if update == Update::Refused {
                return; // and has announced nothing
            }
        }
        let _ = done.send(()).await;
    }

    async fn watch_to_the_end(mut updates: Receiver<Update>, done: Sender<()>) {
        while let Some(update) = updates.recv().await {
            if update == Update::Refused {
                break;
            }
        }
        let _ = done.send(()).await;
    }

    async fn owned() {
        let parent = scope(&Ctx::root(), |s| async move {
            let (updates, watched) = bounded(UPDATES);
            let (done, mut announced) = rendezvous();
            s.spawn("watcher", |_| watch(watched, done));
            updates.send(Update::Up).await?;
            updates.send(Update::Refused).await?;
            assert_eq!(announced.recv().await, None);
            Ok(())
        });
        parent.await.expect("nobody fails");
    }

    async fn shared() {
        let done = Chan::new("done", rendezvous());
        let (updates, watched) = bounded(UPDATES);
        rt::spawn(watch(watched, done.tx.clone()));
        assert!(updates.send(Update::Up).await.is_ok());
        assert!(updates.send(Update::Refused).await.is_ok());
        done.rx.clone().recv().await; // stuck: main
    }

    async fn fixed() {
        let done = Chan::new("done", rendezvous());
        let (updates, watched) = bounded(UPDATES);
        let watcher = rt::spawn(watch_to_the_end(watched, done.tx.clone()));
        assert!(updates.send(Update::Up).await.is_ok());
        assert!(updates.send(Update::Refused).await.is_ok());
        assert_eq!(done.rx.clone().recv().await, Some(()));
        watcher.await.expect("it is done");
    }
}

mod kubernetes_70277 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "kubernetes_70277",
        class: Class::Chan,
        shape: "A function starts a poller, which stays until it is told `done`. The function returns early when all \
                is well, without telling it.",
        fate: Fate::Scoped,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: Some("done") }],
        timers: false,
        go_of_100: None,
        note: "`done` is a context whose guard the function holds, so that every way out fires it; and the function \
               cannot return before its scope's poller has ended.",
        source: SOURCE,
    };

    async fn wait_for(ctx: &Ctx, polling: Arc<()>) -> Result<&'static str, towpath::Error> {
        scope(ctx, |s| async move {
            let (done, fire) = s.ctx().with_cancel();
            let _fire = fire.drop_guard();
            let (tick, mut ticks) = rendezvous();
            s.spawn("poller", move |_| async move {
                let _polling = polling;
                let _ = tick.send("all is well").await;
                done.done().await;
            });
            Ok(ticks.recv().await.ok_or("the poller has left")?)
        })
        .await
    }

    async fn owned() {
        let polling = Arc::new(());
        let answer = wait_for(&Ctx::root(), polling.clone()).await;
        assert_eq!(answer.expect("nobody fails"), "all is well");
        assert_eq!(Arc::strong_count(&polling), 1, "the poller is gone");
    }

    #[derive(Clone)]
    struct Wait {
        ticks: Chan<&'static str>,
        done: Chan<()>,
    }

    impl Wait {
        fn new() -> Self {
            let ticks = Chan::new("ticks", rendezvous());
            Self { ticks, done: Chan::new("done", rendezvous()) }
        }

        async fn poll(self) {
            let _ = self.ticks.tx.send("all is well").await;
            self.done.rx.clone().recv().await; // stuck: spawned
        }

        async fn until_well(&self) -> Result<(), &'static str> {
            if self.ticks.rx.clone().recv().await == Some("all is well") {
                return Ok(());
            }
            self.tell().await;
            Err("not well")
        }

        async fn tell(&self) {
            assert!(self.done.tx.send(()).await.is_ok());
        }
    }

    async fn shared() {
        let wait = Wait::new();
        rt::spawn(wait.clone().poll());
        assert!(wait.until_well().await.is_ok());
    }

    async fn fixed() {
        let wait = Wait::new();
        let poller = rt::spawn(wait.clone().poll());
        assert!(wait.until_well().await.is_ok());
        wait.tell().await;
        poller.await.expect("it was told");
    }
}
