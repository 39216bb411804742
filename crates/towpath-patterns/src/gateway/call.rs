//! A call as a worker has it: what is asked, until when, and the way to answer, which is used once.

use std::{fmt, future::Future, time::Instant};

use towpath::{Ctx, Sender, select};

use super::Refused;

/// What becomes of a call.
pub(super) type Answer<Resp> = Result<Resp, Refused>;

/// A call in the hands of a worker. [`answer`](Self::answer) takes it, so it is answered once; dropped without an answer,
/// the caller is told [`Refused::Died`].
pub struct Call<Req, Resp> {
    request: Req,
    ctx: Ctx,
    reply: Reply<Resp>,
}

impl<Req, Resp> Call<Req, Resp> {
    pub(super) fn new(request: Req, ctx: Ctx, reply: Reply<Resp>) -> Self {
        Self { request, ctx, reply }
    }

    /// What is asked.
    pub fn request(&self) -> &Req {
        &self.request
    }

    /// Ends when the caller leaves, or at the deadline. It carries the values and headers of the caller's context.
    pub fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// Until when an answer is of use to the caller; `None`: there is no such moment.
    pub fn deadline(&self) -> Option<Instant> {
        self.ctx.deadline()
    }

    /// Answers. When the caller has left, the answer is dropped.
    pub fn answer(self, answer: Resp) {
        self.reply.give(Ok(answer));
    }

    /// Answers with what `work` makes, which is dropped when the caller leaves, or at the deadline.
    ///
    /// # Cancel safety
    /// Dropped before completion, it drops `work`, and the caller is told [`Refused::Died`].
    pub async fn answer_with(self, work: impl Future<Output = Resp>) {
        select! { biased;
            answer = select::future(work) => self.reply.give(Ok(answer)),
            cause = self.ctx.done() => self.reply.give(Err(Refused::of(&cause))),
        }
    }

    /// The request for itself, and a call without one: for a handler that consumes what it is asked.
    pub fn split(self) -> (Req, Call<(), Resp>) {
        let Self { request, ctx, reply } = self;
        (request, Call { request: (), ctx, reply })
    }

    /// It is not let in, for this reason, which whoever called is told by who turns it away.
    pub(super) fn turn_away(self, why: Refused) {
        if let Reply::Many(landing) = self.reply {
            landing.land(Err(why), false);
        }
    }

    /// There will be no answer, for this reason.
    pub(super) fn refuse(self, why: Refused) {
        self.reply.give(Err(why));
    }
}

impl<Req: fmt::Debug, Resp> fmt::Debug for Call<Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("request", &self.request)
            .field("ctx", &self.ctx)
            .finish_non_exhaustive()
    }
}

/// The way back to whoever called.
pub(super) enum Reply<Resp> {
    One(Sender<Answer<Resp>>),
    /// To all who asked the same.
    Many(Box<dyn Land<Resp> + Send>),
}

/// Somebody who passes an answer on. Dropped without one, it says that there is none.
pub(super) trait Land<Resp> {
    /// `admitted`: whether the call was let in, and so is to be counted.
    fn land(self: Box<Self>, answer: Answer<Resp>, admitted: bool);
}

impl<Resp> Reply<Resp> {
    fn give(self, answer: Answer<Resp>) {
        match self {
            // There is room for one, and this is the one; if the caller has left, nobody wants it.
            Self::One(tx) => drop(tx.try_send(answer)),
            Self::Many(landing) => landing.land(answer, true),
        }
    }
}
