//! Port tokens: what a network hands out when a channel is declared, and takes back when a process is.
//!
//! What always holds: a token holds no end of its channel. The ends stay in the network until a process is given its
//! ports, and what nobody was given is dropped when the network starts; so a token kept by mistake keeps no channel open.

use std::{any::Any, fmt, marker::PhantomData};

use super::{
    check::Problem,
    graph::{Direction, Graph},
};
use crate::{
    Receiver, Sender, SharedReceiver, observe::Loan, process::Name, raw::gate::Side, rendezvous,
};

/// The receiving side of a declared channel; a process that is given it receives with a [`Receiver`].
pub struct In<T>(Token<T>);

/// The receiving side of a declared channel for several processes, which share the work; clone it for each. They
/// receive with a [`SharedReceiver`].
pub struct SharedIn<T>(Token<T>);

/// The sending side of a declared channel; a process that is given it sends with a [`Sender`]. Clone it for each
/// process that sends there.
pub struct Out<T>(Token<T>);

struct Token<T> {
    network: u64,
    channel: usize,
    message: PhantomData<fn(T) -> T>,
}

impl<T> Token<T> {
    fn copy(&self) -> Self {
        Self { message: PhantomData, ..*self }
    }
}

impl<T> In<T> {
    /// Lets several processes share the work: each message goes to one of them.
    pub fn into_shared(self) -> SharedIn<T> {
        SharedIn(self.0)
    }
}

impl<T> Clone for SharedIn<T> {
    fn clone(&self) -> Self {
        Self(self.0.copy())
    }
}

impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        Self(self.0.copy())
    }
}

/// The ports of a process as they are declared: a token, a tuple of ports, a `Vec` of them, or a struct of your own.
///
/// ```
/// use towpath::network::{In, Network, Out, Ports, Wiring};
/// use towpath::{Receiver, SendError, Sender};
///
/// /// As declared.
/// struct Desk {
///     orders: In<u32>,
///     paid: Out<u32>,
/// }
///
/// /// As lent.
/// struct DeskPorts {
///     orders: Receiver<u32>,
///     paid: Sender<u32>,
/// }
///
/// impl Ports for Desk {
///     type Lent = DeskPorts;
///
///     fn connect(self, wiring: &mut Wiring<'_>) -> DeskPorts {
///         DeskPorts { orders: self.orders.connect(wiring), paid: self.paid.connect(wiring) }
///     }
/// }
///
/// # const PLACES: usize = 1;
/// let mut net = Network::new("shop");
/// let (tx, orders) = net.input("orders", PLACES);
/// let (paid, mut rx) = net.output("paid", PLACES);
/// net.process("desk", Desk { orders, paid }, async |_, desk: &mut DeskPorts| {
///     while let Some(order) = desk.orders.recv().await {
///         desk.paid.send(order).await?;
///     }
///     Ok::<(), SendError<u32>>(())
/// });
/// # tx.try_send(3).unwrap();
/// # drop(tx);
/// # towpath::block_on(net.run(&towpath::Ctx::root())).unwrap();
/// # assert_eq!(rx.try_recv(), Ok(3));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the ports of a process",
    label = "not ports",
    note = "ports are the tokens `In`, `SharedIn` and `Out` that a network hands out for its channels, \
            tuples and `Vec`s of ports, or a struct that implements `Ports`"
)]
pub trait Ports {
    /// What the process is lent.
    type Lent: Send + 'static;

    /// Takes the ends of the channels out of the network. Called once, when the process is declared.
    fn connect(self, wiring: &mut Wiring<'_>) -> Self::Lent;
}

/// A network while a process is being connected to it; see [`Ports`].
pub struct Wiring<'a> {
    pub(super) network: u64,
    pub(super) process: usize,
    pub(super) graph: &'a mut Graph,
    pub(super) ends: &'a mut [Ends],
    pub(super) problems: &'a mut Vec<Problem>,
    /// For observers.
    pub(super) loan: &'a mut Loan,
}

/// The ends of a channel that the network still has, without their type.
pub(super) struct Ends {
    tx: Option<Box<dyn Any + Send>>,
    rx: Option<Box<dyn Any + Send>>,
}

impl Ends {
    /// Keeps the ends that are to be given to processes, and makes the tokens for them.
    pub(super) fn new<T: Send + 'static>(
        network: u64,
        channel: usize,
        tx: Option<Sender<T>>,
        rx: Option<Receiver<T>>,
    ) -> (Self, Out<T>, In<T>) {
        let token = Token { network, channel, message: PhantomData };
        let ends = Self { tx: tx.map(|tx| Box::new(tx) as _), rx: rx.map(|rx| Box::new(rx) as _) };
        (ends, Out(token.copy()), In(token))
    }
}

impl Wiring<'_> {
    /// Enters a port into the graph. False: the token is another network's.
    fn enter<T>(&mut self, token: &Token<T>, direction: Direction) -> bool {
        if token.network != self.network {
            let process = Name::from(self.graph.processes[self.process].name.clone());
            self.problems.push(Problem::Foreign { process });
            return false;
        }
        self.graph.connect(self.process, direction, token.channel);
        true
    }

    fn sender<T: Send + 'static>(&mut self, token: &Token<T>) -> Option<Sender<T>> {
        if !self.enter(token, Direction::Out) {
            return None;
        }
        let tx = self.ends[token.channel].tx.as_ref()?.downcast_ref::<Sender<T>>()?.clone();
        self.loan.add(&tx.visible(), Side::Send);
        Some(tx)
    }

    fn receiver<T: Send + 'static>(&mut self, token: &Token<T>) -> Option<Receiver<T>> {
        if !self.enter(token, Direction::In) {
            return None;
        }
        let rx: Receiver<T> = *self.ends[token.channel].rx.take()?.downcast().ok()?;
        self.loan.add(&rx.visible(), Side::Recv);
        Some(rx)
    }

    fn shared_receiver<T: Send + 'static>(
        &mut self,
        token: &Token<T>,
    ) -> Option<SharedReceiver<T>> {
        if !self.enter(token, Direction::In) {
            return None;
        }
        let kept = &mut self.ends[token.channel].rx;
        let shared = match kept.take()?.downcast::<Receiver<T>>() {
            Ok(rx) => rx.into_shared(),
            Err(shared) => *shared.downcast::<SharedReceiver<T>>().ok()?,
        };
        *kept = Some(Box::new(shared.clone()));
        self.loan.add(&shared.visible(), Side::Recv);
        Some(shared)
    }
}

// Where a token does not belong to the network, or its end is gone, the process gets an end of a channel that is closed.
// The first is a problem that keeps the network from running; the second cannot be, for tokens of receivers are used up.

impl<T: Send + 'static> Ports for Out<T> {
    type Lent = Sender<T>;

    fn connect(self, wiring: &mut Wiring<'_>) -> Sender<T> {
        wiring.sender(&self.0).unwrap_or_else(|| rendezvous().0)
    }
}

impl<T: Send + 'static> Ports for In<T> {
    type Lent = Receiver<T>;

    fn connect(self, wiring: &mut Wiring<'_>) -> Receiver<T> {
        wiring.receiver(&self.0).unwrap_or_else(|| rendezvous().1)
    }
}

impl<T: Send + 'static> Ports for SharedIn<T> {
    type Lent = SharedReceiver<T>;

    fn connect(self, wiring: &mut Wiring<'_>) -> SharedReceiver<T> {
        wiring.shared_receiver(&self.0).unwrap_or_else(|| rendezvous().1.into_shared())
    }
}

impl<P: Ports> Ports for Vec<P> {
    type Lent = Vec<P::Lent>;

    fn connect(self, wiring: &mut Wiring<'_>) -> Vec<P::Lent> {
        self.into_iter().map(|port| port.connect(wiring)).collect()
    }
}

impl<P: Ports> Ports for Option<P> {
    type Lent = Option<P::Lent>;

    fn connect(self, wiring: &mut Wiring<'_>) -> Option<P::Lent> {
        self.map(|port| port.connect(wiring))
    }
}

/// A process without ports.
impl Ports for () {
    type Lent = ();

    fn connect(self, _: &mut Wiring<'_>) {}
}

macro_rules! tuples {
    ($($name:ident)*) => {
        impl<$($name: Ports),*> Ports for ($($name,)*) {
            type Lent = ($($name::Lent,)*);

            #[allow(
                non_snake_case,
                unused_variables,
                clippy::unused_unit,
                reason = "one name for type and field; the empty tuple uses nothing"
            )]
            fn connect(self, wiring: &mut Wiring<'_>) -> Self::Lent {
                let ($($name,)*) = self;
                ($($name.connect(wiring),)*)
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);

impl<T> fmt::Debug for Token<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "channel {} of network {}", self.channel, self.network)
    }
}

impl<T> fmt::Debug for In<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("In").field(&self.0).finish()
    }
}

impl<T> fmt::Debug for SharedIn<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedIn").field(&self.0).finish()
    }
}

impl<T> fmt::Debug for Out<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Out").field(&self.0).finish()
    }
}

impl fmt::Debug for Wiring<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wiring").field("network", &self.network).finish_non_exhaustive()
    }
}
