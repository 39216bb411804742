//! A call as a worker has it: what is asked, until when, and the way to answer, which is used once.

use std::{fmt, future::Future, sync::Arc, time::Instant};

use towpath::{Cause, Ctx, select};

use super::{Refused, slot::Slot};

/// What becomes of a call.
pub(super) type Answer<Resp> = Result<Resp, Refused>;

/// A call in the hands of a worker. [`answer`](Self::answer) takes it, so it is answered once; dropped without an answer,
/// the caller is told [`Refused::Died`].
pub struct Call<Req, Resp> {
    request: Req,
    reply: Reply<Resp>,
}

impl<Req, Resp> Call<Req, Resp> {
    pub(super) fn new(request: Req, reply: Reply<Resp>) -> Self {
        Self { request, reply }
    }

    /// What is asked.
    pub fn request(&self) -> &Req {
        &self.request
    }

    /// Ends when the caller leaves, or at the deadline. It carries the values and headers of the caller's context.
    pub fn ctx(&self) -> &Ctx {
        match &self.reply {
            Reply::One(one) => one.slot.ctx(),
            Reply::Many { ctx, .. } => ctx,
        }
    }

    /// Until when an answer is of use to the caller; `None`: there is no such moment.
    pub fn deadline(&self) -> Option<Instant> {
        self.reply.waits().deadline()
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
        let answer = select! { biased;
            answer = select::future(work) => Ok(answer),
            cause = self.ctx().done() => Err(Refused::of(&cause)),
        };
        self.reply.give(answer);
    }

    /// The request for itself, and a call without one: for a handler that consumes what it is asked.
    pub fn split(self) -> (Req, Call<(), Resp>) {
        let Self { request, reply } = self;
        (request, Call { request: (), reply })
    }

    /// It is not let in, for this reason, which whoever called is told by who turns it away.
    pub(super) fn turn_away(self, why: Refused) {
        match self.reply {
            Reply::One(mut one) => one.is_done = true,
            Reply::Many { landing, .. } => landing.land(Err(why), false),
        }
    }

    /// For who wants to know whether anybody waits for it, when it is with somebody else.
    pub(super) fn watch(&self) -> Watch<Resp> {
        match &self.reply {
            Reply::One(one) => Watch::One(one.slot.clone()),
            Reply::Many { ctx, .. } => Watch::Many(ctx.clone()),
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
            .field("ctx", self.reply.waits())
            .finish_non_exhaustive()
    }
}

/// The way back to whoever called.
pub(super) enum Reply<Resp> {
    One(One<Resp>),
    /// To all who asked the same.
    Many {
        ctx: Ctx,
        landing: Box<dyn Land<Resp> + Send>,
    },
}

/// The way to one caller. Dropped without an answer, it says that there is none.
pub(super) struct One<Resp> {
    slot: Arc<Slot<Resp>>,
    /// The caller knows.
    is_done: bool,
}

impl<Resp> One<Resp> {
    pub(super) fn new(slot: Arc<Slot<Resp>>) -> Self {
        Self { slot, is_done: false }
    }
}

impl<Resp> Drop for One<Resp> {
    fn drop(&mut self) {
        if !self.is_done {
            self.slot.give(None);
        }
    }
}

/// Whether anybody waits for a call.
pub(super) enum Watch<Resp> {
    One(Arc<Slot<Resp>>),
    Many(Ctx),
}

impl<Resp> Watch<Resp> {
    /// Why nobody does, if so.
    pub(super) fn over(&self) -> Option<Cause> {
        match self {
            Self::One(slot) => slot.over(),
            Self::Many(ctx) => ctx.is_done().then(|| ctx.cause()),
        }
    }
}

/// Somebody who passes an answer on. Dropped without one, it says that there is none.
pub(super) trait Land<Resp> {
    /// `admitted`: whether the call was let in, and so is to be counted.
    fn land(self: Box<Self>, answer: Answer<Resp>, admitted: bool);
}

impl<Resp> Reply<Resp> {
    /// Until when somebody waits for it.
    fn waits(&self) -> &Ctx {
        match self {
            Self::One(one) => one.slot.waits(),
            Self::Many { ctx, .. } => ctx,
        }
    }

    fn give(self, answer: Answer<Resp>) {
        match self {
            Self::One(mut one) => {
                one.is_done = true;
                one.slot.give(Some(answer));
            }
            Self::Many { landing, .. } => landing.land(answer, true),
        }
    }
}
