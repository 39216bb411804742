//! Messages with headers, so that what a receiver does is linked to what the sender was doing.
//!
//! What always holds: headers go where their message goes, and nowhere else; a channel never looks at them.
//!
//! Why a type and not a property of the channel: a channel whose messages have no headers keeps no room for them and never
//! asks. `docs/adr/0008-headers-ride-by-type.md` has the rest.

use std::ops::{Deref, DerefMut};

use crate::{Ctx, Headers, Sender, channel::Sending};

/// A message and the [`Headers`] it was sent under.
///
/// Made by [`Ctx::traced`], and taken apart by [`under`](Self::under): the receiver's context then carries the headers, so what
/// it sends on is linked to what it has received. Through two hops, of which the second is a select:
///
/// ```
/// use towpath::{Ctx, Headers, Receiver, Sender, Traced, rendezvous, select};
///
/// struct Order(&'static str);
/// struct Dish(&'static str);
///
/// async fn cook(ctx: Ctx, mut orders: Receiver<Traced<Order>>, dishes: Sender<Traced<Dish>>) {
///     while let Some(order) = orders.recv().await {
///         let (ctx, Order(what)) = order.under(&ctx);
///         // The dish carries the headers of its order.
///         if dishes.send(ctx.traced(Dish(what))).await.is_err() {
///             return;
///         }
///     }
/// }
///
/// # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
/// # runtime.block_on(async {
/// let (orders, at_cook) = rendezvous();
/// let (from_cook, mut dishes) = rendezvous();
/// let root = Ctx::root();
/// let eaten = towpath::scope(&root, |s| async move {
///     s.spawn("cook", |ctx| cook(ctx, at_cook, from_cook));
///     let guest = s.ctx().with_headers(Headers::new(*b"table 7"));
///     orders.send(guest.traced(Order("soup"))).await?;
///     select! {
///         dish = dishes.recv() => {
///             let (ctx, Dish(what)) = dish.ok_or("the cook has left")?.under(s.ctx());
///             Ok(format!("{what} for {:?}", ctx.headers()))
///         },
///         cause = s.ctx().done() => Err(cause.into()),
///     }
/// });
/// assert_eq!(eaten.await.unwrap(), r#"soup for Headers("table 7")"#);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A channel of `Traced<T>` takes one pointer and a length more for each message than a channel of `T`; other channels take
/// nothing.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Traced<T> {
    headers: Headers,
    value: T,
}

impl<T> Traced<T> {
    /// A message under these headers. [`Ctx::traced`] takes those of a context.
    pub const fn new(headers: Headers, value: T) -> Self {
        Self { headers, value }
    }

    /// The headers.
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// A child of `ctx` that carries the headers of this message, and the message. Work for the message belongs under
    /// this context: what is sent from there is linked to what was received here.
    ///
    /// The child ends when `ctx` does; the sender's context has no say. It carries the message's headers also when there
    /// are none: then those of `ctx` are hidden, since the work is not theirs.
    ///
    /// ```
    /// use towpath::{Ctx, Headers, Traced};
    ///
    /// let service = Ctx::root().with_headers(Headers::new(*b"service"));
    /// let (ctx, order) = Traced::new(Headers::new(*b"table 7"), "soup").under(&service);
    /// assert_eq!((ctx.headers().as_bytes(), order), (&b"table 7"[..], "soup"));
    /// let (ctx, _) = Traced::from("soup").under(&service);
    /// assert!(ctx.headers().is_empty());
    /// ```
    #[must_use = "the message is in it"]
    pub fn under(self, ctx: &Ctx) -> (Ctx, T) {
        (ctx.with_headers(self.headers), self.value)
    }

    /// What `f` makes of the message, under the same headers.
    ///
    /// ```
    /// # use towpath::{Headers, Traced};
    /// let order = Traced::new(Headers::new(*b"table 7"), "soup");
    /// let dish = order.map(str::len);
    /// assert_eq!((dish.headers().as_bytes(), *dish), (&b"table 7"[..], 4));
    /// ```
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Traced<U> {
        Traced { headers: self.headers, value: f(self.value) }
    }

    /// The message without its headers.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// The headers and the message.
    pub fn into_parts(self) -> (Headers, T) {
        (self.headers, self.value)
    }
}

/// A message without headers.
impl<T> From<T> for Traced<T> {
    fn from(value: T) -> Self {
        Self::new(Headers::none(), value)
    }
}

impl<T> Deref for Traced<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Traced<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl Ctx {
    /// `value` under the headers of this context, ready to be sent.
    ///
    /// ```
    /// # use towpath::{Ctx, Headers};
    /// let ctx = Ctx::root().with_headers(Headers::new(*b"table 7"));
    /// assert_eq!(ctx.child().traced("soup").headers().as_bytes(), b"table 7");
    /// ```
    pub fn traced<T>(&self, value: T) -> Traced<T> {
        Traced::new(self.headers(), value)
    }
}

impl<T> Sender<Traced<T>> {
    /// [`send`](Self::send) of [`ctx.traced(value)`](Ctx::traced), also as an arm of a select.
    ///
    /// ```
    /// # towpath::block_on(async {
    /// use towpath::{Ctx, Headers, Traced};
    ///
    /// let (tx, mut rx) = towpath::unbounded();
    /// let ctx = Ctx::root().with_headers(Headers::new(*b"table 7"));
    /// tx.send_under(&ctx, "soup").await.unwrap();
    /// assert_eq!(rx.recv().await, Some(ctx.traced("soup")));
    /// # });
    /// ```
    ///
    /// # Errors
    /// As for [`send`](Self::send): the message comes back with its headers.
    ///
    /// # Cancel safety
    /// As for [`send`](Self::send).
    #[track_caller]
    pub fn send_under(&self, ctx: &Ctx, value: T) -> Sending<'_, Traced<T>> {
        self.send(ctx.traced(value))
    }
}
