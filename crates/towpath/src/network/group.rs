//! Processes of a network that share a supervisor.

use std::fmt;

use super::{Network, graph::ProcessKind, port::Ports, running::Alive, unless_drained};
use crate::{
    BoxError, Ctx, Error, Work,
    process::Name,
    scope::Outcome,
    supervisor::{Child, OnExit, Supervisor},
};

/// Declares the processes of one [`Supervisor`] in a network; see [`Network::supervised`].
pub struct Group<'a> {
    network: &'a mut Network,
    supervisor: Supervisor,
    members: Vec<usize>,
}

impl Network {
    /// Declares processes that are started again when they crash, as `supervisor` says. Their channels stay as they are
    /// meanwhile.
    ///
    /// ```
    /// use towpath::network::Network;
    /// use towpath::supervisor::{OnExit, Strategy, Supervisor};
    /// use towpath::{BoxError, Ctx};
    ///
    /// # const PLACES: usize = 8;
    /// # towpath::block_on(async {
    /// let mut net = Network::new("kitchen");
    /// let (tx, orders) = net.input("orders", PLACES);
    /// let (plates, mut served) = net.output("plates", PLACES);
    /// # let backoff = towpath::supervisor::Backoff::NONE;
    /// let chef = Supervisor::new("chef", Strategy::OneForOne);
    /// # let chef = chef.with_backoff(backoff);
    /// net.supervised(chef, |group| {
    ///     group.child("cook", OnExit::RestartOnFailure, (orders, plates), async |_, (orders, plates)| {
    ///         while let Some(order) = orders.recv().await {
    ///             if order == "fire" {
    ///                 return Err(BoxError::from("the kitchen burns"));
    ///             }
    ///             plates.send(order).await?;
    ///         }
    ///         Ok(())
    ///     });
    /// });
    /// for order in ["soup", "fire", "salad"] {
    ///     tx.send(order).await?;
    /// }
    /// drop(tx);
    /// net.run(&Ctx::root()).await?;
    /// assert_eq!((served.recv().await, served.recv().await), (Some("soup"), Some("salad")));
    /// # Ok::<(), BoxError>(()) }).unwrap();
    /// ```
    ///
    /// When the supervisor gives up, the network fails with its error.
    ///
    /// A process that returns when its inputs have ended wants [`OnExit::RestartOnFailure`]: with
    /// [`OnExit::Restart`] it would be started again, return at once, and so on until the supervisor gives up. When
    /// the network drains, a group without any receiving port counts as a source and is stopped as a whole.
    pub fn supervised(
        &mut self,
        supervisor: Supervisor,
        declare: impl FnOnce(&mut Group<'_>),
    ) -> &mut Self {
        let mut group = Group { network: self, supervisor, members: Vec::new() };
        declare(&mut group);
        let Group { supervisor, members, .. } = group;
        let is_source = members.iter().all(|member| self.is_source(*member));
        self.starters.push(Box::new(move |scope, valves| {
            let alive: Vec<_> = members
                .into_iter()
                .map(|process| Alive { process, valves: valves.clone() })
                .collect();
            let outer = scope.ctx().clone();
            let ctx = if is_source { valves.source(&outer) } else { outer.clone() };
            scope.spawn(supervisor.name().clone(), move |_| async move {
                let _alive = alive;
                let name = supervisor.name().clone();
                let result = supervisor.run(&ctx).await.map_err(|error| reason(error, &name));
                unless_drained(result, &ctx, &outer)
            });
        }));
        self
    }
}

/// The supervisor's own failure without its name, which its process in the network adds again.
fn reason(error: Error, name: &Name) -> BoxError {
    match error {
        Error::Failed { process, source, later } if process == *name && later.is_empty() => source,
        error => error.into(),
    }
}

impl Group<'_> {
    /// Declares a process of the group, as [`Network::process`] and [`Supervisor::child`] do.
    pub fn child<P, F, R>(
        &mut self,
        name: impl Into<Name>,
        on_exit: OnExit,
        ports: P,
        work: F,
    ) -> &mut Self
    where
        P: Ports,
        F: AsyncFnOnce(Ctx, &mut P::Lent) -> R + for<'a> Work<'a, P::Lent, Output = R> + Clone,
        R: Outcome<Value = ()>,
    {
        let name = name.into();
        // Each run of it is another process, and is noted as the one who has the ports.
        let (process, ports, loan) = self.network.connect(&name, ProcessKind::Supervised, ports);
        self.members.push(process);
        self.supervisor.add(name, on_exit, Child::new(ports, work, loan));
        self
    }
}

impl fmt::Debug for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("supervisor", &self.supervisor).finish_non_exhaustive()
    }
}
