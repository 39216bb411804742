//! A channel as Go has it, for the twins with shared handles.
//!
//! What always holds: whoever has the handle has both ends, so as long as anybody has it neither side closes. That is
//! the habit which brings back what owned ends make impossible.

use towpath::{Receiver, Sender, SharedReceiver};

/// Both ends of a channel in one hand. Cloning it copies the handle.
pub(super) struct Chan<T> {
    pub(super) tx: Sender<T>,
    pub(super) rx: SharedReceiver<T>,
}

impl<T: Send + 'static> Chan<T> {
    pub(super) fn new(name: &'static str, (tx, rx): (Sender<T>, Receiver<T>)) -> Self {
        Self { tx: tx.named(name), rx: rx.into_shared() }
    }
}

impl<T> Clone for Chan<T> {
    fn clone(&self) -> Self {
        Self { tx: self.tx.clone(), rx: self.rx.clone() }
    }
}
