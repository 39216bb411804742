//! A child: its ports, its work, and one run of that work.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use crate::{
    BoxError, Ctx, Error, Sender, Work,
    process::{self, Name},
    rt,
    scope::{Outcome, is_echo},
    select,
    select::future,
    work::work_with,
};

/// The work of one run.
pub(super) type Job = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// A child that can be started, whatever its ports are.
pub(super) trait Start: Send {
    /// The next run. The one before has been dropped.
    fn start(&mut self, ctx: Ctx) -> Job;
}

pub(super) struct Child<P, F> {
    /// Where the ports are while nobody runs.
    home: Arc<Mutex<Option<P>>>,
    work: F,
}

impl<P, F> Child<P, F> {
    pub(super) fn new(ports: P, work: F) -> Self {
        Self { home: Arc::new(Mutex::new(Some(ports))), work }
    }
}

impl<P, F, R> Start for Child<P, F>
where
    P: Send + 'static,
    F: for<'a> Work<'a, P, Output = R> + Clone,
    R: Outcome<Value = ()>,
{
    fn start(&mut self, ctx: Ctx) -> Job {
        let mut lent = Lent { ports: lock(&self.home).take(), home: self.home.clone() };
        let work = self.work.clone();
        Box::pin(async move {
            match &mut lent.ports {
                Some(ports) => work_with(work, ctx, ports).await,
                None => unreachable!("the run before has been dropped, and brought them home"),
            }
        })
    }
}

/// Ports on loan to a run. However it ends, they come home.
struct Lent<P> {
    ports: Option<P>,
    home: Arc<Mutex<Option<P>>>,
}

impl<P> Drop for Lent<P> {
    fn drop(&mut self) {
        *lock(&self.home) = self.ports.take();
    }
}

fn lock<P>(home: &Mutex<Option<P>>) -> std::sync::MutexGuard<'_, Option<P>> {
    // Held for a move only; nothing panics meanwhile.
    home.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a run has ended.
pub(super) enum Exit {
    Done,
    Failed(Error),
    /// It gave up because its context had ended, or was dropped because it took too long to.
    CutShort,
}

/// A run has ended, and its job has been dropped.
pub(super) struct Report {
    pub(super) index: usize,
    pub(super) exit: Exit,
}

/// Reports once, also when it is dropped unused: then nobody ran the process.
pub(super) struct Reporter {
    pub(super) index: usize,
    pub(super) tx: Sender<Report>,
    pub(super) exit: Exit,
}

impl Drop for Reporter {
    fn drop(&mut self) {
        let exit = std::mem::replace(&mut self.exit, Exit::CutShort);
        // It fails only when the supervisor is gone, who then needs no reports.
        drop(self.tx.try_send(Report { index: self.index, exit }));
    }
}

/// One run: does the job until it ends, or until its context has ended for longer than `grace`.
pub(super) async fn run(name: Name, mut job: Job, ctx: Ctx, grace: Duration, mut to: Reporter) {
    let overtime = async {
        ctx.done().await;
        rt::sleep(grace).await;
    };
    let caught = poll_fn(|cx| match process::catch(|| job.as_mut().poll(cx)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
        Err(panic) => Poll::Ready(Err(panic)),
    });
    let result = select! { biased;
        result = future(caught) => Some(result),
        _ = future(overtime) => None,
    };
    // Dropping what is left of it is its own doing too.
    let dropped = process::catch(|| drop(job));
    to.exit = match (result, dropped) {
        (Some(Err(panic)), _) | (_, Err(panic)) => Exit::Failed(Error::panicked(name, panic)),
        (Some(Ok(Err(error))), _) if is_echo(&*error, &ctx.cause()) => Exit::CutShort,
        (Some(Ok(Err(error))), _) => Exit::Failed(Error::failed(name, error)),
        (Some(Ok(Ok(()))), _) => Exit::Done,
        (None, _) => Exit::CutShort,
    };
}
