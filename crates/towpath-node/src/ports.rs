//! What a process of a network file is lent: its channels, by the names of its component's ports.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use indexmap::IndexMap;
use serde_json::{Value, json};
use towpath::{
    Headers, Receiver, SendError, Sender, Traced, TryReserveError, TrySendError, select,
};

use crate::{
    check::ON_ERROR,
    file::{Full, Trace},
    home::Home,
    line::Line,
    seat::{Order, Seat},
    spans::Leaving,
};

/// What goes through the channels of a network file: JSON, under the headers it was sent with.
pub type Message = Traced<Value>;

/// The channels of a process, and what else its node lends it.
#[derive(Debug)]
pub struct Ports {
    pub(crate) inputs: IndexMap<String, Input>,
    pub(crate) outputs: Outputs,
}

impl Ports {
    pub(crate) fn new(home: Home) -> Self {
        let outputs = Outputs { ports: IndexMap::new(), home, begins: false };
        Self { inputs: IndexMap::new(), outputs }
    }

    /// An input. One that the file gave no channel is at its end.
    pub fn input(&mut self, port: &str) -> &mut Input {
        self.provide(port);
        &mut self.inputs[port]
    }

    /// Some inputs, to select over, and the outputs beside them.
    ///
    /// # Panics
    /// If two ports have one name.
    pub fn split<const N: usize>(&mut self, ports: [&str; N]) -> ([&mut Input; N], &Outputs) {
        ports.iter().for_each(|port| self.provide(port));
        let keys = ports.map(|port| self.inputs.get_index_of(port).unwrap_or(usize::MAX));
        match self.inputs.get_disjoint_indices_mut(keys) {
            Ok(inputs) => (inputs.map(|(_, input)| input), &self.outputs),
            Err(_) => panic!("two of the ports {ports:?} are one"),
        }
    }

    fn provide(&mut self, port: &str) {
        if !self.inputs.contains_key(port) {
            let seat = self.outputs.home.seat.clone();
            self.inputs.insert(port.to_owned(), Input::new(seat));
        }
    }

    /// The outputs.
    pub fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// What the process has of its node.
    pub fn home(&self) -> &Home {
        &self.outputs.home
    }

    /// The next message of an input; `None` when no more will come, or no more is to be taken.
    ///
    /// # Cancel safety
    /// Dropped before completion, no message is lost.
    pub async fn recv(&mut self, port: &str) -> Option<Message> {
        self.input(port).recv().await
    }

    /// Whether the process goes and its channels stay, as when its file changes. Otherwise, at its end, they go with it.
    pub(crate) fn stay(&self) -> bool {
        matches!(self.outputs.home.seat.version().order(), Order::Leave | Order::HandOver)
    }

    /// Lets go of an output: those who receive there find the end of it.
    pub(crate) fn close(&mut self, port: &str) {
        drop(self.outputs.ports.shift_remove(port));
    }

    /// As [`Outputs::send`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn send(&self, port: &str, message: Message) -> Result<(), SendError<Message>> {
        self.outputs.send(port, message).await
    }

    /// As [`Outputs::refuse`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn refuse(
        &self,
        message: Message,
        why: impl fmt::Display,
    ) -> Result<(), SendError<Message>> {
        self.outputs.refuse(message, why).await
    }

    /// Whether the file gave this input a channel.
    pub fn has_input(&self, port: &str) -> bool {
        self.inputs.get(port).is_some_and(|input| !input.receivers.is_empty())
    }

    /// Whether the file gave this output a channel.
    pub fn has_output(&self, port: &str) -> bool {
        self.outputs.has(port)
    }
}

/// Channels that a process receives from through one port.
///
/// It is at its end when all of them have ended, and also when the process is told to leave: then its channels go on, and what is in
/// them is for whoever receives there next.
#[derive(Debug)]
pub struct Input {
    pub(crate) receivers: Vec<Receiver<Message>>,
    /// As many, in the same order.
    pub(crate) lines: Vec<Arc<Line>>,
    /// A message that is there for who takes it, and the place of its channel.
    ready: Option<(usize, Message)>,
    seat: Arc<Seat>,
}

impl Input {
    pub(crate) fn new(seat: Arc<Seat>) -> Self {
        Self { receivers: Vec::new(), lines: Vec::new(), ready: None, seat }
    }

    pub(crate) fn add(&mut self, receiver: Receiver<Message>, line: Arc<Line>) {
        line.read_by(&self.seat);
        self.receivers.push(receiver);
        self.lines.push(line);
    }

    /// Its channels; it has none then.
    pub(crate) fn take(&mut self) -> (Vec<Receiver<Message>>, Vec<Arc<Line>>) {
        self.put_back();
        (std::mem::take(&mut self.receivers), std::mem::take(&mut self.lines))
    }

    /// Has the channels of another one, too, which has none then.
    pub(crate) fn take_from(&mut self, other: &mut Self) {
        other.put_back();
        self.receivers.append(&mut other.receivers);
        self.lines.append(&mut other.lines);
    }

    /// The next message from any of its channels, fairly; `None` when all have ended, or no more is to be taken.
    ///
    /// In a select beside channels and timers use [`ready`](Self::ready): [`select::future`] says why.
    ///
    /// # Cancel safety
    /// Dropped before completion, no message is lost.
    pub async fn recv(&mut self) -> Option<Message> {
        if self.ready().await { self.taken() } else { None }
    }

    /// As [`recv`](Self::recv), and goes on when the process is told to leave: for what it needs to finish what it has.
    ///
    /// # Cancel safety
    /// As there.
    pub(crate) async fn recv_leaving(&mut self) -> Option<Message> {
        if self.wait(true).await { self.taken() } else { None }
    }

    /// Waits until there is a message, which [`try_recv`](Self::try_recv) then gives; false when all channels have ended, or no more is to
    /// be taken. It takes none, so an arm of a select that loses at the last moment loses nothing:
    ///
    /// ```
    /// # use towpath::{BoxError, rt, select};
    /// # async fn body(ports: &mut towpath_node::Ports) -> Result<(), BoxError> {
    /// let ([messages], outputs) = ports.split(["in"]);
    /// loop {
    ///     let late = towpath::after(std::time::Duration::from_secs(1));
    ///     select! { biased;
    ///         more = select::future(messages.ready()) => match messages.try_recv() {
    ///             Some(message) => outputs.send("out", message).await?,
    ///             None if more => {} // It was told to pause just now.
    ///             None => return Ok(()),
    ///         },
    ///         _ = late => println!("nothing for a second"),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropped before completion, no message is lost.
    pub async fn ready(&mut self) -> bool {
        self.seat.spans.settle();
        self.wait(false).await
    }

    async fn wait(&mut self, leaving: bool) -> bool {
        loop {
            let version = self.seat.version();
            match version.order() {
                Order::Go => {}
                Order::Leave if leaving => {}
                Order::Pause => {
                    self.seat.changed(version).await;
                    continue;
                }
                Order::Leave | Order::HandOver => {
                    self.put_back();
                    self.seat.cut();
                    return false;
                }
            }
            if self.ready.is_none() {
                self.ready = self.injected();
            }
            if self.ready.is_some() {
                return true;
            }
            let (from, message) = match self.receivers.as_mut_slice() {
                [] => return false,
                [only] => match self.seat.unless_changed(version, only.recv()).await {
                    Some(message) => (0, message),
                    None => continue,
                },
                several => {
                    let any = select::recv_any(several);
                    match self.seat.unless_changed(version, any).await {
                        Some(received) => received,
                        None => continue,
                    }
                }
            };
            match message {
                Some(message) => {
                    self.ready = Some((from, message));
                    return true;
                }
                // What was put in from outside while the channel ended is found on the way round.
                None if !self.lines[from].end() => {}
                None => {
                    self.receivers.remove(from);
                    self.lines.remove(from);
                }
            }
        }
    }

    /// A message that is there already.
    pub fn try_recv(&mut self) -> Option<Message> {
        if self.seat.version().order() != Order::Go {
            return None;
        }
        if self.ready.is_none() {
            self.ready = self.injected().or_else(|| {
                let there = |(from, receiver): (usize, &mut Receiver<Message>)| {
                    receiver.try_recv().ok().map(|message| (from, message))
                };
                self.receivers.iter_mut().enumerate().find_map(there)
            });
        }
        self.taken()
    }

    /// The message that is there, counted as received.
    fn taken(&mut self) -> Option<Message> {
        let (from, message) = self.ready.take()?;
        let line = &self.lines[from];
        line.received.fetch_add(1, Ordering::Relaxed);
        Some(self.seat.spans.received(message, line.trace, &line.name))
    }

    /// A message that nobody took is for whoever receives next.
    fn put_back(&mut self) {
        if let Some((from, message)) = self.ready.take() {
            self.lines[from].put_back(message);
        }
    }

    /// Waits for a message, and adds it to `batch` with those that are there already, up to `most` of them. How many: 0 when all
    /// channels have ended, or no more is to be taken.
    ///
    /// # Cancel safety
    /// Dropped before completion, no message is lost.
    pub async fn recv_many(&mut self, batch: &mut Vec<Message>, most: usize) -> usize {
        let Some(first) = self.recv().await else { return 0 };
        batch.push(first);
        let more = std::iter::from_fn(|| self.try_recv()).take(most.saturating_sub(1));
        let before = batch.len();
        batch.extend(more);
        1 + batch.len() - before
    }

    fn injected(&self) -> Option<(usize, Message)> {
        let mut lines = self.lines.iter().enumerate();
        lines.find_map(|(from, line)| Some((from, line.injected()?)))
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.lines.iter().for_each(|line| line.abandon());
    }
}

/// What a process sends to.
#[derive(Debug)]
pub struct Outputs {
    pub(crate) ports: IndexMap<String, Output>,
    home: Home,
    /// The process is a source, or no input of it is traced: so traces begin here, or come in from outside.
    pub(crate) begins: bool,
}

impl Outputs {
    /// Sends to an output; to all its channels, if it has several, and then whoever received from one of them may have gone. One that the
    /// file gave no channel takes everything.
    ///
    /// # Errors
    /// The message comes back when those who received from the port have all gone, and the network does not end.
    ///
    /// # Cancel safety
    /// Dropped before completion, the message is lost, or some of the channels do not have it.
    pub async fn send(&self, port: &str, message: Message) -> Result<(), SendError<Message>> {
        self.send_since(port, message, None).await
    }

    /// As [`send`](Self::send), of a message that came from outside `since` then.
    pub(crate) async fn send_since(
        &self,
        port: &str,
        message: Message,
        since: Option<Instant>,
    ) -> Result<(), SendError<Message>> {
        let seat = &self.home.seat;
        seat.while_paused().await;
        let Some(output) = self.ports.get(port) else { return Ok(()) };
        let (message, mut leaving) = self.leaving(output, message, since);
        let sent = output.send(message, &self.home).await;
        if sent.is_err() {
            leaving.failed("nobody receives it any more");
        }
        seat.spans.sent(leaving);
        sent?;
        seat.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    #[inline]
    fn leaving(
        &self,
        output: &Output,
        message: Message,
        since: Option<Instant>,
    ) -> (Message, Leaving) {
        let spans = &self.home.seat.spans;
        if self.begins && output.is_traced() {
            return spans.entering(message, since);
        }
        spans.leaving(message)
    }

    /// Whether what is sent to a port is traced.
    pub(crate) fn is_traced(&self, port: &str) -> bool {
        self.ports.get(port).is_some_and(Output::is_traced)
    }

    /// Headers for what is made of messages with these: with the trace of one, or with links to those of several. For a message that goes
    /// to one process for many: a batch, a set that matches.
    pub fn gather<'a>(&self, all: impl IntoIterator<Item = &'a Headers> + Clone) -> Headers {
        let mut few = all.clone().into_iter();
        match (few.next(), few.next()) {
            (None, _) => Headers::none(),
            (Some(one), None) => one.clone(),
            _ => self.home.seat.spans.gather(all),
        }
    }

    /// Headers for what comes later of a message that had these, and is not here any more.
    pub(crate) fn go_on(&self, headers: &Headers) -> Headers {
        self.home.seat.spans.go_on(headers)
    }

    /// The message of something that was kept, to be sent to a port: in a trace of its own with a link to that under which it came.
    pub(crate) fn anew(&self, port: &str, message: Message) -> Message {
        if message.headers().is_empty() || !self.is_traced(port) {
            return message;
        }
        let (headers, body) = message.into_parts();
        Traced::new(self.home.seat.spans.gather([&headers]), body)
    }

    /// Waits until there is room in all channels of the port that block, or nobody receives from one. Another sender may take it.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing.
    pub async fn room(&self, port: &str) {
        self.home.seat.while_paused().await;
        let Some(output) = self.ports.get(port) else { return };
        for outlet in output.channels.iter().filter(|outlet| outlet.line.full == Full::Block) {
            // The place is given back at once: this only waits for it.
            drop(outlet.tx.reserve().await);
        }
    }

    /// Sends if there is room now, in all channels of the port that block. A channel that drops takes everything.
    ///
    /// # Errors
    /// The message comes back when a channel is full, and the others of the port have it not; or when those who received from it have
    /// gone.
    pub fn try_send(&self, port: &str, message: Message) -> Result<(), TrySendError<Message>> {
        let Some(output) = self.ports.get(port) else { return Ok(()) };
        let (message, leaving) = self.leaving(output, message, None);
        let sent = output.try_send(message);
        self.home.seat.spans.sent(leaving);
        sent?;
        self.home.seat.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
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
        let why = why.to_string();
        self.home.seat.spans.fail(message.headers(), &why);
        self.home.refused(&why);
        let from = self.home.process();
        let refused = message.map(|body| json!({"error": why, "from": from, "message": body}));
        self.send(ON_ERROR, refused).await
    }

    /// Whether the file gave this output a channel.
    pub fn has(&self, port: &str) -> bool {
        self.ports.contains_key(port)
    }

    /// What the process has of its node.
    pub fn home(&self) -> &Home {
        &self.home
    }
}

/// Channels that a process sends to through one port.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) channels: Vec<Outlet>,
}

impl Output {
    fn is_traced(&self) -> bool {
        self.channels.iter().any(|outlet| outlet.line.trace != Trace::Off)
    }

    async fn send(&self, message: Message, home: &Home) -> Result<(), SendError<Message>> {
        let Some((last, others)) = self.channels.split_last() else { return Ok(()) };
        let mut sent = false;
        for other in others {
            sent |= other.send(message.clone()).await.is_ok();
        }
        match last.send(message).await {
            // When a network ends, who receives may have ended before who sends, if they feed each other in a circle: then nobody wants it.
            Err(_) if sent || home.is_draining() => Ok(()),
            result => result,
        }
    }

    fn try_send(&self, message: Message) -> Result<(), TrySendError<Message>> {
        if let [only] = self.channels.as_slice() {
            return only.try_send(message);
        }
        // A place in each, or a message in none.
        let mut permits = Vec::with_capacity(self.channels.len());
        for outlet in self.channels.iter().filter(|outlet| outlet.line.full == Full::Block) {
            match outlet.tx.try_reserve() {
                Ok(permit) => permits.push((permit, outlet)),
                Err(TryReserveError::Full) => return Err(TrySendError::Full(message)),
                Err(TryReserveError::Closed) => return Err(TrySendError::Closed(message)),
            }
        }
        for outlet in self.channels.iter().filter(|outlet| outlet.line.full == Full::Drop) {
            outlet.try_send(message.clone())?;
        }
        for (permit, outlet) in permits {
            outlet.line.pass(&message);
            permit.send(message.clone());
            outlet.count();
        }
        Ok(())
    }
}

/// One channel that is sent to.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    pub(crate) tx: Sender<Message>,
    pub(crate) line: Arc<Line>,
    pub(crate) sent: Arc<AtomicU64>,
}

impl Outlet {
    pub(crate) fn new(tx: Sender<Message>, line: Arc<Line>) -> Self {
        let sent = line.counter();
        Self { tx, line, sent }
    }

    #[inline]
    fn count(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    async fn send(&self, message: Message) -> Result<(), SendError<Message>> {
        match self.line.full {
            Full::Block => {
                // Shown before, as afterwards it is another's.
                self.line.pass(&message);
                self.tx.send(message).await?;
                self.count();
                Ok(())
            }
            Full::Drop => match self.try_send(message) {
                Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
                Err(TrySendError::Closed(message)) => Err(SendError(message)),
            },
        }
    }

    fn try_send(&self, message: Message) -> Result<(), TrySendError<Message>> {
        match self.tx.try_reserve() {
            Ok(permit) => {
                self.line.pass(&message);
                permit.send(message);
                self.count();
                Ok(())
            }
            Err(TryReserveError::Full) if self.line.full == Full::Drop => {
                self.line.dropped.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(TryReserveError::Full) => Err(TrySendError::Full(message)),
            Err(TryReserveError::Closed) => Err(TrySendError::Closed(message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use towpath::{Ctx, bounded, rendezvous, scope};

    use super::*;

    /// Records nothing.
    fn tracer() -> towpath_observe::span::Tracer {
        towpath_observe::span::Tracer::new(towpath_observe::span::Sampling::NONE)
    }

    /// Beside a channel whose sender may claim the select at any moment.
    #[towpath::test(schedules = 2000)]
    async fn a_message_that_loses_a_select_is_there_for_the_next() {
        const EACH: u64 = 3;
        let seat = Arc::new(Seat::new("p", tracer()));
        let mut input = Input::new(seat);
        let (tx, rx) = bounded::<Message>(1);
        input.add(rx, Arc::new(Line::new("a", Full::Block, Trace::Off)));
        let (other, mut others) = rendezvous::<u64>();
        let done = scope(&Ctx::root(), |s| async move {
            s.spawn("sends", async move |_| {
                for n in 0..EACH {
                    tx.send(Traced::from(json!(n))).await.unwrap();
                }
            });
            s.spawn("interrupts", async move |_| {
                for n in 0..EACH {
                    other.send(n).await.unwrap();
                }
            });
            let (mut came, mut interrupted, mut open) = (Vec::new(), 0, true);
            while open || interrupted < EACH {
                select! {
                    other = others.recv(), if interrupted < EACH => interrupted += u64::from(other.is_some()),
                    more = select::future(input.ready()), if open => match input.try_recv() {
                        Some(message) => came.push(message.as_u64().unwrap()),
                        None => open = more,
                    },
                }
            }
            Ok(came)
        });
        assert_eq!(done.await.unwrap(), [0, 1, 2]);
    }

    #[towpath::test(schedules = 50)]
    async fn a_message_that_nobody_took_is_the_next_of_who_receives_then() {
        let seat = Arc::new(Seat::new("p", tracer()));
        let (tx, rx) = bounded::<Message>(4);
        let line = Arc::new(Line::new("a", Full::Block, Trace::Off));
        let mut input = Input::new(seat.clone());
        input.add(rx, line.clone());
        for n in 0..3 {
            tx.try_send(Traced::from(json!(n))).unwrap();
        }
        assert!(input.ready().await && input.ready().await);
        assert_eq!(line.received.load(Ordering::Relaxed), 0, "it was not taken");
        seat.order(Order::Leave);
        assert!(!input.ready().await);
        let (receivers, lines) = input.take();
        seat.order(Order::Go);
        let mut next = Input::new(seat);
        receivers.into_iter().zip(lines).for_each(|(rx, line)| next.add(rx, line));
        for n in 0..3 {
            assert_eq!(*next.recv().await.unwrap(), json!(n));
        }
        assert_eq!(line.received.load(Ordering::Relaxed), 3);
    }
}
