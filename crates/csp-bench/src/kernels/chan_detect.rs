//! What ownership does not prevent: a process stands in its own way, or waits for what nobody is going to do.
//!
//! | kernel | what happens | kind |
//! |---|---|---|
//! | `cockroach_35931` | an error for every receiver; one is full, and its consumer would be started later | fills itself |
//! | `cockroach_25456` | "are we stopping?" is asked by a receive that waits | waits for a live holder |
//! | `cockroach_24808` | a wake-up for a consumer that would be started next; one is in its place already | fills itself |
//! | `moby_33293` | an error goes into a rendezvous before its receiver is returned | fills itself |

use towpath::{BoxError, Ctx, Receiver, Sender, TryRecvError, bounded, rendezvous, scope};

use crate::{Class, Fate, Kernel, Stuck, Symptom, program};

pub(super) const KERNELS: &[Kernel] = &[
    cockroach_35931::KERNEL,
    cockroach_25456::KERNEL,
    cockroach_24808::KERNEL,
    moby_33293::KERNEL,
];

const SOURCE: &str = include_str!("chan_detect.rs");

mod cockroach_35931 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "cockroach_35931",
        class: Class::Chan,
        shape: "Cancelling a flow pushes an error into each of its receivers in turn. One has room for a single item \
                and is full, and its consumer has not been started.",
        fate: Fate::Detect,
        owned: Some(program!(owned)),
        shared: None,
        fixed: program!(fixed),
        symptom: Symptom::Deadlock,
        stuck: &[Stuck { process: "main", object: Some("left") }],
        timers: false,
        go_of_100: None,
        note: "The receiver is there, in the hands of the process that sends.",
        source: SOURCE,
    };

    type Item = Result<u32, &'static str>;

    /// Items that wait for the consumer of a receiver.
    const ITEMS: usize = 1;

    async fn consume(mut items: Receiver<Item>) {
        while let Some(Ok(_row)) = items.recv().await {}
    }

    async fn owned() {
        let (left, left_items) = bounded(ITEMS);
        let (right, right_items) = bounded(ITEMS);
        let (left, right) = (left.named("left"), right.named("right"));
        let _ = left.send(Ok(1)).await; // a row came in before the flow was started

        for receiver in [left, right] {
            let _ = receiver.send(Err("cancelled")).await; // stuck: main
        }
        let flow = scope(&Ctx::root(), |s| async move {
            s.spawn("left consumer", |_| consume(left_items));
            s.spawn("right consumer", |_| consume(right_items));
            Ok(())
        });
        flow.await.expect("nobody fails");
    }

    async fn fixed() {
        let (left, left_items) = bounded(ITEMS);
        let (right, right_items) = bounded(ITEMS);
        let _ = left.send(Ok(1)).await;

        let flow = scope(&Ctx::root(), |s| async move {
            for receiver in [left, right] {
                s.spawn("canceller", |_| async move {
                    let _ = receiver.send(Err("cancelled")).await;
                });
            }
            s.spawn("left consumer", |_| consume(left_items));
            s.spawn("right consumer", |_| consume(right_items));
            Ok(())
        });
        flow.await.expect("nobody fails");
    }
}

mod cockroach_25456 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "cockroach_25456",
        class: Class::Chan,
        shape: "`Are we stopping?` is written as a receive from the signal, which waits, where a look was meant. Whoever \
                could give the signal waits for the answer first.",
        fate: Fate::Detect,
        owned: Some(program!(owned)),
        shared: None,
        fixed: program!(fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "replica", object: Some("quiesce") },
            Stuck { process: "main", object: None },
        ],
        timers: false,
        go_of_100: None,
        note: "The stopper holds the sending end all the time, so nothing closes.",
        source: SOURCE,
    };

    const CHECKSUM: u32 = 7;

    async fn check(mut quiesce: Receiver<()>) -> Result<Option<u32>, BoxError> {
        let stopping = quiesce.recv().await.is_none(); // stuck: replica
        Ok((!stopping).then_some(CHECKSUM))
    }

    async fn look_and_check(mut quiesce: Receiver<()>) -> Result<Option<u32>, BoxError> {
        let stopping = quiesce.try_recv() == Err(TryRecvError::Closed);
        Ok((!stopping).then_some(CHECKSUM))
    }

    async fn owned() {
        let store = scope(&Ctx::root(), |s| async move {
            let (stopper, quiesce) = rendezvous();
            let stopper = stopper.named("quiesce");
            let replica = s.spawn("replica", |_| check(quiesce));
            let sum = replica.await?; // stuck: main
            drop(stopper);
            Ok(sum)
        });
        assert_eq!(store.await.expect("nobody fails"), Some(CHECKSUM));
    }

    async fn fixed() {
        let store = scope(&Ctx::root(), |s| async move {
            let (stopper, quiesce) = rendezvous();
            let stopper = stopper.named("quiesce");
            let replica = s.spawn("replica", |_| look_and_check(quiesce));
            let sum = replica.await?;
            drop(stopper);
            Ok(sum)
        });
        assert_eq!(store.await.expect("nobody fails"), Some(CHECKSUM));
    }
}

mod cockroach_24808 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "cockroach_24808",
        class: Class::Chan,
        shape: "Starting a compactor sends it a wake-up, which waits for room, and only then starts who takes it. A \
                wake-up is there already, and there is room for one.",
        fate: Fate::Detect,
        owned: Some(program!(owned)),
        shared: None,
        fixed: program!(fixed),
        symptom: Symptom::Deadlock,
        stuck: &[Stuck { process: "main", object: Some("wake") }],
        timers: false,
        go_of_100: None,
        note: "",
        source: SOURCE,
    };

    /// Wake-ups that wait: two are as good as one.
    const WAKE_UPS: usize = 1;

    struct Compactor {
        wake: Sender<()>,
        wake_ups: Receiver<()>,
    }

    impl Compactor {
        fn new() -> Self {
            let (wake, wake_ups) = bounded(WAKE_UPS);
            Self { wake: wake.named("wake"), wake_ups }
        }

        /// There may be something to compact.
        fn suggest(&self) {
            let _ = self.wake.try_send(());
        }

        async fn start(self) {
            let _ = self.wake.send(()).await; // stuck: main
            self.run().await;
        }

        async fn start_without_waiting(self) {
            let _ = self.wake.try_send(());
            self.run().await;
        }

        async fn run(mut self) {
            let running = scope(&Ctx::root(), |s| async move {
                s.spawn(
                    "compactor",
                    |_| async move { while self.wake_ups.recv().await.is_some() {} },
                );
                drop(self.wake); // it stops when it has done what it was woken for
                Ok(())
            });
            running.await.expect("nobody fails");
        }
    }

    async fn owned() {
        let compactor = Compactor::new();
        compactor.suggest();
        compactor.start().await;
    }

    async fn fixed() {
        let compactor = Compactor::new();
        compactor.suggest();
        compactor.start_without_waiting().await;
    }
}

mod moby_33293 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "moby_33293",
        class: Class::Chan,
        shape: "A function makes a rendezvous, sends its error into it, and then would return the receiver.",
        fate: Fate::Detect,
        owned: Some(program!(owned)),
        shared: None,
        fixed: program!(fixed),
        symptom: Symptom::Deadlock,
        stuck: &[Stuck { process: "main", object: Some("errors") }],
        timers: false,
        go_of_100: Some(100),
        note: "Provable: the process that sends holds the only receiver.",
        source: SOURCE,
    };

    /// The one error has to find a place before anybody can take it.
    const ERRORS: usize = 1;

    type Error = &'static str;

    async fn monitor((error, errors): (Sender<Error>, Receiver<Error>)) -> Receiver<Error> {
        let error = error.named("errors");
        let _ = error.send("no such container").await; // stuck: main
        errors
    }

    async fn owned() {
        let mut errors = monitor(rendezvous()).await;
        assert_eq!(errors.recv().await, Some("no such container"));
    }

    async fn fixed() {
        let mut errors = monitor(bounded(ERRORS)).await;
        assert_eq!(errors.recv().await, Some("no such container"));
    }
}
