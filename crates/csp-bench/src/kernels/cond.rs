//! Conditions: somebody waits to be told, and is not told, or was told before it listened.
//!
//! | kernel | who waits | what is missing | the twin |
//! |---|---|---|---|
//! | `kubernetes_11298` | service loop, to be told of the stop | it was told between its look and its wait | waits for the stop itself as well |
//! | `moby_30408` | client, for the plugin's activation | a failed activation tells nobody, and is not looked for | failure is looked for, and told |
//! | `moby_29733` | second client, for the plugin's activation | a handler takes the flag back and starts nothing | whoever takes it back activates again |
//!
//! Go's condition keeps nothing for those who come later. `Notify::notify_waiters` is its like; `notify_one` keeps a
//! notice and would hide the first shape.

use std::sync::Arc;

use towpath::{
    Ctx, rendezvous, scope, select,
    sync::{Mutex, Notify},
};

use crate::{Class, Fate, Kernel, Stuck, Symptom, program};

pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "kubernetes_11298",
        class: Class::ChanCond,
        shape: "a notice without a waiter is lost; the service loop then waits on the condition",
        fate: Fate::Detect,
        owned: Some(program!(kubernetes_11298::owned)),
        shared: None,
        fixed: program!(kubernetes_11298::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[Stuck { process: "service", object: None }],
        timers: false,
        go_of_100: None,
        note: "",
        source: include_str!("cond.rs"),
    },
    Kernel {
        name: "moby_30408",
        class: Class::Cond,
        shape: "the failure path of an activation sets the error and notifies nobody; the waiter's predicate does \
                not look at the error",
        fate: Fate::Detect,
        owned: Some(program!(moby_30408::owned)),
        shared: None,
        fixed: program!(moby_30408::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[Stuck { process: "client", object: None }],
        timers: false,
        go_of_100: None,
        note: "a reply channel in the place of flag and condition would have ended with the activator",
        source: include_str!("cond.rs"),
    },
    Kernel {
        name: "moby_29733",
        class: Class::Cond,
        shape: "a flag is taken back without a notice and without work to set it again; the second waiter waits for \
                ever",
        fate: Fate::Detect,
        owned: Some(program!(moby_29733::owned)),
        shared: None,
        fixed: program!(moby_29733::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[Stuck { process: "second", object: None }],
        timers: false,
        go_of_100: None,
        note: "",
        source: include_str!("cond.rs"),
    },
];

mod kubernetes_11298 {
    use super::*;

    /// Who leads, and the notice of a change.
    #[derive(Default)]
    struct Election {
        leader: Mutex<u32>,
        changed: Notify,
    }

    impl Election {
        async fn pass_on(&self) {
            assert_eq!(*self.leader.lock().await, 0);
        }
    }

    pub(super) async fn owned() {
        let (abort_tx, mut abort) = rendezvous::<()>();
        let election = Arc::new(Election::default());
        let run = scope(&Ctx::root(), |s| async move {
            let watched = election.clone();
            s.spawn("service", |_| async move {
                loop {
                    select! {
                        _ = abort.recv() => return,
                        default => watched.pass_on().await,
                    }
                    // The notice may have come by now.
                    watched.changed.notified().await; // stuck: service
                }
            });
            drop(abort_tx);
            election.changed.notify_waiters();
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let (abort_tx, mut abort) = rendezvous::<()>();
        let election = Arc::new(Election::default());
        let run = scope(&Ctx::root(), |s| async move {
            let watched = election.clone();
            s.spawn("service", |_| async move {
                loop {
                    watched.pass_on().await;
                    select! {
                        _ = abort.recv() => return,
                        _ = watched.changed.notified() => {}
                    }
                }
            });
            drop(abort_tx);
            election.changed.notify_waiters();
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}

mod moby_30408 {
    use super::*;

    #[derive(Default)]
    struct Plugin {
        state: Mutex<State>,
        changed: Notify,
    }

    #[derive(Default)]
    struct State {
        active: bool,
        error: Option<&'static str>,
    }

    /// What the plugin answers to a greeting.
    fn handshake() -> Result<(), &'static str> {
        Err("no such socket")
    }

    pub(super) async fn owned() {
        let plugin = Arc::new(Plugin::default());
        let run = scope(&Ctx::root(), |s| async move {
            let activated = plugin.clone();
            s.spawn("activator", |_| async move {
                let mut state = activated.state.lock().await;
                match handshake() {
                    Ok(()) => {
                        state.active = true;
                        activated.changed.notify_waiters();
                    }
                    Err(error) => state.error = Some(error),
                }
            });
            s.spawn("client", |_| async move {
                loop {
                    let told = plugin.changed.notified(); // stuck: client
                    if plugin.state.lock().await.active {
                        return;
                    }
                    told.await;
                }
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let plugin = Arc::new(Plugin::default());
        let run = scope(&Ctx::root(), |s| async move {
            let activated = plugin.clone();
            s.spawn("activator", |_| async move {
                let mut state = activated.state.lock().await;
                match handshake() {
                    Ok(()) => state.active = true,
                    Err(error) => state.error = Some(error),
                }
                activated.changed.notify_waiters();
            });
            let client = s.spawn("client", |_| async move {
                loop {
                    let told = plugin.changed.notified();
                    let state = plugin.state.lock().await;
                    if state.active || state.error.is_some() {
                        return Ok::<_, towpath::BoxError>(state.error);
                    }
                    drop(state);
                    told.await;
                }
            });
            Ok(client.await?)
        });
        assert_eq!(run.await.expect("nobody fails"), Some("no such socket"));
    }
}

mod moby_29733 {
    use super::*;

    #[derive(Default)]
    struct Plugin {
        active: Mutex<bool>,
        changed: Notify,
    }

    impl Plugin {
        async fn activate(&self) {
            *self.active.lock().await = true;
            self.changed.notify_waiters();
        }

        async fn wait_active(&self) {
            loop {
                let told = self.changed.notified(); // stuck: second
                if *self.active.lock().await {
                    return;
                }
                told.await;
            }
        }
    }

    pub(super) async fn owned() {
        let plugin = Arc::new(Plugin::default());
        let run = scope(&Ctx::root(), |s| async move {
            let (activated, used, waited) = (plugin.clone(), plugin.clone(), plugin.clone());
            s.spawn("activator", |_| async move { activated.activate().await });
            s.spawn("first", |_| async move { used.wait_active().await }).await?;
            // A new handler: the plugin is to be activated once more, and nobody hears of it.
            *plugin.active.lock().await = false;
            s.spawn("second", |_| async move { waited.wait_active().await });
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let plugin = Arc::new(Plugin::default());
        let run = scope(&Ctx::root(), |s| async move {
            let (activated, used, waited) = (plugin.clone(), plugin.clone(), plugin.clone());
            s.spawn("activator", |_| async move { activated.activate().await });
            s.spawn("first", |_| async move { used.wait_active().await }).await?;
            *plugin.active.lock().await = false;
            s.spawn("second", |_| async move { waited.wait_active().await });
            s.spawn("activator", |_| async move { plugin.activate().await });
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}
