//! What a process of a network file is lent: its channels, by the names of its component's ports.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use indexmap::IndexMap;
use serde_json::{Value, json};
use towpath::{Receiver, SendError, Sender, Traced, TrySendError, select};

use crate::{check::ON_ERROR, file::Full};

/// What goes through the channels of a network file: JSON, under the headers it was sent with.
pub type Message = Traced<Value>;

/// The channels of a process.
#[derive(Debug, Default)]
pub struct Ports {
    pub(crate) inputs: IndexMap<String, Input>,
    pub(crate) outputs: IndexMap<String, Output>,
}

impl Ports {
    /// An input. One that the file gave no channel is at its end.
    pub fn input(&mut self, port: &str) -> &mut Input {
        if !self.inputs.contains_key(port) {
            self.inputs.insert(port.to_owned(), Input::default());
        }
        &mut self.inputs[port]
    }

    /// Some inputs, to select over. Of two with one name the second is at its end.
    pub fn inputs<const N: usize>(&mut self, ports: [&str; N]) -> [Input; N] {
        ports.map(|port| std::mem::take(self.input(port)))
    }

    /// The next message of an input; `None` when no more will come.
    ///
    /// # Cancel safety
    /// Dropped before completion, no message is lost.
    pub async fn recv(&mut self, port: &str) -> Option<Message> {
        self.input(port).recv().await
    }

    /// Sends to an output; to all its channels, if it has several. One that the file gave no channel takes everything.
    ///
    /// # Errors
    /// The message comes back when those who received from a channel of the port have gone.
    ///
    /// # Cancel safety
    /// Dropped before completion, the message is lost, or some of the channels do not have it.
    pub async fn send(&self, port: &str, message: Message) -> Result<(), SendError<Message>> {
        match self.outputs.get(port) {
            Some(output) => output.send(message).await,
            None => Ok(()),
        }
    }

    /// Gives up a message: sends it with the reason to where the file says that such messages go (`on_error`). Without that it is
    /// gone, and the file was warned of it.
    ///
    /// # Errors
    /// The message comes back, with its reason, when those who received there have gone.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub async fn refuse(
        &self,
        message: Message,
        why: impl fmt::Display,
    ) -> Result<(), SendError<Message>> {
        let refused = message.map(|body| json!({"error": why.to_string(), "message": body}));
        self.send(ON_ERROR, refused).await
    }

    /// Whether the file gave this output a channel.
    pub fn has_output(&self, port: &str) -> bool {
        self.outputs.contains_key(port)
    }
}

/// Channels that a process receives from through one port.
#[derive(Debug, Default)]
pub struct Input {
    pub(crate) channels: Vec<Receiver<Message>>,
}

impl Input {
    /// The next message from any of its channels, fairly; `None` when all have ended.
    ///
    /// # Cancel safety
    /// Dropped before completion, no message is lost.
    pub async fn recv(&mut self) -> Option<Message> {
        loop {
            let (from, message) = match self.channels.as_mut_slice() {
                [] => return None,
                [only] => (0, only.recv().await),
                several => select::recv_any(several).await,
            };
            if message.is_some() {
                return message;
            }
            self.channels.remove(from);
        }
    }
}

/// Channels that a process sends to through one port.
#[derive(Debug, Default)]
pub struct Output {
    pub(crate) channels: Vec<Outlet>,
}

impl Output {
    async fn send(&self, message: Message) -> Result<(), SendError<Message>> {
        let Some((last, others)) = self.channels.split_last() else { return Ok(()) };
        for other in others {
            other.send(message.clone()).await?;
        }
        last.send(message).await
    }
}

/// One channel that is sent to.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    pub(crate) tx: Sender<Message>,
    pub(crate) full: Full,
    /// Messages that found no room, of all who send there.
    pub(crate) dropped: Arc<AtomicU64>,
}

impl Outlet {
    async fn send(&self, message: Message) -> Result<(), SendError<Message>> {
        match self.full {
            Full::Block => self.tx.send(message).await,
            Full::Drop => match self.tx.try_send(message) {
                Ok(()) => Ok(()),
                Err(TrySendError::Full(_)) => {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }
                Err(TrySendError::Closed(message)) => Err(SendError(message)),
            },
        }
    }
}
