//! Tying resources to a channel; the promise is in the head of `channel`, the work in `raw/tied.rs`.

use super::{Receiver, Sender, SharedReceiver};
use crate::error::TieError;

macro_rules! tying {
    ($($end:ident),*) => {
        $(impl<T> $end<T> {
            /// Ties a resource to the channel: it is dropped, once, when the channel is gone altogether: no sender, no receiver,
            /// and no message is left. So messages may speak of the resource, down to the last.
            ///
            /// ```
            /// /// Frames that wait for the screen.
            /// const FRAMES: usize = 4;
            /// # struct Sandbox(std::sync::mpsc::Sender<&'static str>);
            /// # impl Drop for Sandbox {
            /// #     fn drop(&mut self) {
            /// #         let _ = self.0.send("closed");
            /// #     }
            /// # }
            /// # let (note, notes) = std::sync::mpsc::channel();
            /// # let sandbox = Sandbox(note);
            /// let (tx, mut rx) = towpath::bounded(FRAMES);
            /// tx.tie(sandbox);
            /// tx.send_blocking("last frame")?;
            /// drop(tx);
            /// assert!(notes.try_recv().is_err()); // somebody may still ask for the frame
            /// assert_eq!(rx.recv_blocking(), Some("last frame"));
            /// drop(rx);
            /// assert_eq!(notes.try_recv(), Ok("closed"));
            /// # Ok::<(), towpath::SendError<&str>>(())
            /// ```
            ///
            /// The [channels' page](crate::channel#resources) says more.
            pub fn tie<R: Send + 'static>(&self, resource: R) {
                self.end.chan().tie(resource);
            }

            /// As [`tie`](Self::tie), but the resource is dropped as soon as the channel is closed: as one of its sides has gone, or
            /// a network that drains has shut the senders out. If the receivers went, what was queued is dropped before; if the
            /// senders went, messages may still be received afterwards.
            ///
            /// For what only makes sense while somebody sends and somebody listens: the device that is read, the thread that
            /// fills the channel.
            ///
            /// # Errors
            /// [`TieError`] gives the resource back when the channel is closed already.
            pub fn tie_while_open<R: Send + 'static>(&self, resource: R) -> Result<(), TieError<R>> {
                self.end.chan().tie_while_open(resource).map_err(TieError)
            }
        })*
    };
}

tying!(Sender, Receiver, SharedReceiver);
