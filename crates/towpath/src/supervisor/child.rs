//! A child: its ports, its work, and one run of that work.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use crate::{
    BoxError, Ctx, Error, Sender, Work,
    observe::Loan,
    process::{self, Name, Panic},
    scope::{Outcome, is_echo},
    work::work_with,
};

/// The work of one run.
pub(crate) type Job = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// A child that can be started, whatever its ports are.
pub(crate) trait Start: Send {
    /// The next run. The one before has been dropped.
    fn start(&mut self, ctx: Ctx) -> Job;
}

pub(crate) struct Child<P, F> {
    /// Where the ports are while nobody runs.
    home: Arc<Mutex<Option<P>>>,
    work: F,
    /// For observers: what each run has.
    loan: Loan,
}

impl<P, F> Child<P, F> {
    pub(crate) fn new(ports: P, work: F, loan: Loan) -> Self {
        Self { home: Arc::new(Mutex::new(Some(ports))), work, loan }
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
        let loan = self.loan.clone();
        Box::pin(async move {
            let _lending = loan.lend();
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

/// One run: does the job until it ends, or until the run is dropped.
///
/// It waits for nothing but what its job waits for, so that observers know all who can wake it; that a child which was
/// asked to stop has had its time is the supervisor's to see.
pub(super) struct Running {
    name: Name,
    job: Option<Job>,
    ctx: Ctx,
    to: Reporter,
}

impl Running {
    pub(super) fn new(name: Name, job: Job, ctx: Ctx, to: Reporter) -> Self {
        Self { name, job: Some(job), ctx, to }
    }

    /// Drops what is left of the job, which is its own doing too, and says how it has ended.
    fn end(&mut self, result: Option<Result<Result<(), BoxError>, Panic>>) {
        let job = self.job.take();
        let dropped = process::catch(|| drop(job));
        let name = self.name.clone();
        self.to.exit = match (result, dropped) {
            (Some(Err(panic)), _) | (_, Err(panic)) => Exit::Failed(Error::panicked(name, panic)),
            (Some(Ok(Err(error))), _) if is_echo(&*error, &self.ctx.cause()) => Exit::CutShort,
            (Some(Ok(Err(error))), _) => Exit::Failed(Error::failed(name, error)),
            (Some(Ok(Ok(()))), _) => Exit::Done,
            (None, _) => Exit::CutShort,
        };
    }
}

impl Future for Running {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(job) = &mut self.job else { return Poll::Ready(()) };
        let result = match process::catch(|| job.as_mut().poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => Ok(result),
            Err(panic) => Err(panic),
        };
        self.end(Some(result));
        Poll::Ready(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.job.is_some() {
            self.end(None);
        }
    }
}
