//! What a process has to say, on its way while the process goes on.
//!
//! What always holds: messages go out in the order in which they were said. While one batch waits for room the process receives, and
//! so two processes that answer each other do not wait for each other; what it says meanwhile is the next batch.

use std::{future::Future, pin::Pin};

use towpath::{BoxError, select, select::FutureArm};

use crate::ports::{Message, Outputs};

/// A message to be sent, or given up.
pub(super) enum Say {
    To(String, Message),
    Refuse(Message, String),
}

type Telling<'a> = FutureArm<Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'a>>>;

/// What is to be said.
pub(super) struct Teller<'a> {
    out: &'a Outputs,
    said: Vec<Say>,
    telling: Option<Pin<Box<Telling<'a>>>>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(out: &'a Outputs) -> Self {
        Self { out, said: Vec::new(), telling: None }
    }

    pub(super) fn outputs(&self) -> &'a Outputs {
        self.out
    }

    pub(super) fn to(&mut self, port: &str, message: Message) {
        self.said.push(Say::To(port.to_owned(), message));
    }

    pub(super) fn refuse(&mut self, message: Message, why: impl Into<String>) {
        self.said.push(Say::Refuse(message, why.into()));
    }

    /// Messages that wait behind those that are on their way.
    pub(super) fn waiting(&self) -> usize {
        self.said.len()
    }

    /// Whether a batch is on its way.
    pub(super) fn is_telling(&self) -> bool {
        self.telling.is_some()
    }

    /// Whether everything was said.
    pub(super) fn is_done(&self) -> bool {
        self.said.is_empty() && self.telling.is_none()
    }

    /// The batch that is on its way, as an arm of a select; begins the next one if there is none. What the arm gives goes to
    /// [`told`](Self::told). An arm that loses goes on in the next select.
    pub(super) fn arm(&mut self) -> Option<Pin<&mut Telling<'a>>> {
        if self.telling.is_none() && !self.said.is_empty() {
            let (out, said) = (self.out, std::mem::take(&mut self.said));
            self.telling = Some(Box::pin(select::future(Box::pin(tell(out, said)) as Pin<Box<_>>)));
        }
        self.telling.as_mut().map(Pin::as_mut)
    }

    /// A batch is out.
    ///
    /// # Errors
    /// Nobody receives from a port any more.
    pub(super) fn told(&mut self, told: Result<(), BoxError>) -> Result<(), BoxError> {
        self.telling = None;
        told
    }

    /// Sends everything.
    ///
    /// # Errors
    /// As [`told`](Self::told).
    pub(super) async fn finish(&mut self) -> Result<(), BoxError> {
        while !self.is_done() {
            let told = select! { told = self.arm() => told };
            self.told(told)?;
        }
        Ok(())
    }
}

async fn tell(out: &Outputs, said: Vec<Say>) -> Result<(), BoxError> {
    for say in said {
        match say {
            Say::To(port, message) => out.send(&port, message).await?,
            Say::Refuse(message, why) => out.refuse(message, why).await?,
        }
    }
    Ok(())
}
