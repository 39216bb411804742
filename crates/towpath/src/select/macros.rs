//! `select!` and `select_blocking!`: thin skins over `run.rs` that keep each arm's own type.

/// Waits for several operations and does exactly one; for tasks.
///
/// ```
/// # use std::time::Duration;
/// # use towpath::{after, select};
/// # towpath::block_on(async {
/// let (order_tx, mut orders) = towpath::rendezvous::<&str>();
/// let (reports, _report_rx) = towpath::unbounded::<&str>();
/// let mut paused: Option<towpath::Receiver<()>> = None; // `None` disables its arm
/// let busy = false;
///
/// select! {
///     order = orders.recv()        => println!("{order:?}"),     // a receive: `Option<&str>`
///     sent  = reports.send("fine") => sent?,                     // a send
///     _     = paused.recv()        => {}                         // disabled
///     slot  = reports.reserve(), if busy => slot?.send("busy"),  // a guard
///     _     = after(Duration::from_secs(1)) => println!("late"), // a timer
/// }
/// # drop(order_tx);
///
/// select! { biased; order = orders.recv() => {}, _ = towpath::never() => {} } // top arm first
///
/// let nothing = select! { _ = towpath::never() => false, default => true };   // does not wait
/// assert!(nothing);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
///
/// - Exactly one arm commits, and only its body runs. A losing arm had no effect. The value of a losing
///   `tx.send(value)` goes with the arm; [`tx.send_from(&mut slot)`](crate::Sender::send_from) leaves it in `slot`.
/// - Of several ready arms one is chosen at random, with `biased;` the top one.
/// - An arm whose guard is false, or whose expression is `None`, is disabled; a guarded expression is not evaluated
///   then. Without `default`, a select whose arms are all disabled would wait for ever, and panics instead.
/// - `default`, written last, makes the select not wait.
/// - Bodies run after all arms are gone, so they may use the channels again, `.await`, `return`, `break` and `?`.
///
/// # Cancel safety
/// Dropped before completion, no arm had any effect (a foreign [`future`](crate::select::future) arm was polled).
#[macro_export]
macro_rules! select {
    ($($tokens:tt)+) => { $crate::__select!(@start task $($tokens)+) };
    () => { ::core::compile_error!("`select!` needs at least one arm: `pattern = operation => body`") };
}

/// As [`select!`](crate::select!), on a thread.
///
/// ```
/// let (tx, mut rx) = towpath::bounded(1);
/// tx.send_blocking(7)?;
/// let got = towpath::select_blocking! {
///     value = rx.recv() => value,
///     _ = towpath::after(std::time::Duration::from_secs(1)) => None,
/// };
/// assert_eq!(got, Some(7));
/// # Ok::<(), towpath::SendError<i32>>(())
/// ```
#[macro_export]
macro_rules! select_blocking {
    ($($tokens:tt)+) => { $crate::__select!(@start thread $($tokens)+) };
    () => { ::core::compile_error!("`select_blocking!` needs at least one arm: `pattern = operation => body`") };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (@start $place:ident biased; $($rest:tt)+) => {
        $crate::__select!(@arms [$place biased] [] $($rest)+)
    };
    (@start $place:ident $($rest:tt)+) => {
        $crate::__select!(@arms [$place fair] [] $($rest)+)
    };

    // No more arms.
    (@arms [$place:ident $order:ident] [$($arms:tt)*]) => {
        $crate::__select!(@wait $place $order [$($arms)*])
    };
    // `default`, last.
    (@arms [$place:ident $order:ident] [$($arms:tt)*] default => $body:expr $(,)?) => {
        $crate::__select!(@now $order [$($arms)*] $body)
    };
    (@arms [$place:ident $order:ident] [$($arms:tt)*] default => $($rest:tt)+) => {
        ::core::compile_error!("`default` must be the last arm of a select")
    };
    // An arm with a guard.
    (@arms $mode:tt [$($arms:tt)*] $pattern:pat = $arm:expr, if $guard:expr => $body:block, $($rest:tt)*) => {
        $crate::__select!(@arms $mode [$($arms)* { $pattern, (if $guard { ::core::option::Option::Some($arm) } else { ::core::option::Option::None }), $body }] $($rest)*)
    };
    (@arms $mode:tt [$($arms:tt)*] $pattern:pat = $arm:expr, if $guard:expr => $body:block $($rest:tt)*) => {
        $crate::__select!(@arms $mode [$($arms)* { $pattern, (if $guard { ::core::option::Option::Some($arm) } else { ::core::option::Option::None }), $body }] $($rest)*)
    };
    (@arms $mode:tt [$($arms:tt)*] $pattern:pat = $arm:expr, if $guard:expr => $body:expr, $($rest:tt)*) => {
        $crate::__select!(@arms $mode [$($arms)* { $pattern, (if $guard { ::core::option::Option::Some($arm) } else { ::core::option::Option::None }), $body }] $($rest)*)
    };
    (@arms $mode:tt [$($arms:tt)*] $pattern:pat = $arm:expr, if $guard:expr => $body:expr) => {
        $crate::__select!(@arms $mode [$($arms)* { $pattern, (if $guard { ::core::option::Option::Some($arm) } else { ::core::option::Option::None }), $body }])
    };
    // A plain arm.
    (@arms $mode:tt [$($arms:tt)*] $pattern:pat = $arm:expr => $body:block, $($rest:tt)*) => {
        $crate::__select!(@arms $mode [$($arms)* { $pattern, $arm, $body }] $($rest)*)
    };
    (@arms $mode:tt [$($arms:tt)*] $pattern:pat = $arm:expr => $body:block $($rest:tt)*) => {
        $crate::__select!(@arms $mode [$($arms)* { $pattern, $arm, $body }] $($rest)*)
    };
    (@arms $mode:tt [$($arms:tt)*] $pattern:pat = $arm:expr => $body:expr, $($rest:tt)*) => {
        $crate::__select!(@arms $mode [$($arms)* { $pattern, $arm, $body }] $($rest)*)
    };
    (@arms $mode:tt [$($arms:tt)*] $pattern:pat = $arm:expr => $body:expr) => {
        $crate::__select!(@arms $mode [$($arms)* { $pattern, $arm, $body }])
    };
    (@arms $mode:tt [$($arms:tt)*] $($rest:tt)+) => {
        ::core::compile_error!(::core::concat!(
            "cannot read this select arm; arms are `pattern = operation => body`, ",
            "`pattern = operation, if guard => body` and, last, `default => body`: ",
            ::core::stringify!($($rest)+)
        ))
    };

    (@wait task fair $arms:tt) => {{
        let won = $crate::__select!(@scoped $crate::select::run($crate::__select!(@list $arms)).await);
        $crate::__select!(@match won $arms)
    }};
    (@wait task biased $arms:tt) => {{
        let won = $crate::__select!(@scoped $crate::select::run_biased($crate::__select!(@list $arms)).await);
        $crate::__select!(@match won $arms)
    }};
    (@wait thread fair $arms:tt) => {{
        let won = $crate::__select!(@scoped $crate::select::run_blocking($crate::__select!(@list $arms)));
        $crate::__select!(@match won $arms)
    }};
    (@wait thread biased $arms:tt) => {{
        let won = $crate::__select!(@scoped $crate::select::run_blocking_biased($crate::__select!(@list $arms)));
        $crate::__select!(@match won $arms)
    }};
    (@now $order:ident [] $body:expr) => { $body };
    (@now $order:ident $arms:tt $body:expr) => {{
        let won = $crate::__select!(@scoped $crate::select::now(
            $crate::__select!(@list $arms), $crate::__select!(@biased $order)
        ));
        match won {
            ::core::option::Option::Some(won) => $crate::__select!(@match won $arms),
            ::core::option::Option::None => $body,
        }
    }};
    (@biased fair) => { false };
    (@biased biased) => { true };

    // Arms on an `Option` of an end.
    (@scoped $run:expr) => {{
        #[allow(unused_imports, reason = "only selects with such arms use them")]
        use $crate::select::{OptionReceiver as _, OptionSender as _};
        $run
    }};

    (@list []) => { () };
    (@list [{ $pattern:pat, $arm:expr, $body:expr } $($arms:tt)*]) => {
        $crate::select::pair(
            // Pinned where it is made: a string of references is cheap to move.
            ::core::pin::pin!($crate::select::list($arm)), $crate::__select!(@list [$($arms)*])
        )
    };

    (@match $won:ident []) => { match $won {} };
    (@match $won:ident [{ $pattern:pat, $arm:expr, $body:expr } $($arms:tt)*]) => {
        match $won {
            $crate::select::Either::Left(value) => match value { $pattern => $body },
            $crate::select::Either::Right(others) => $crate::__select!(@match others [$($arms)*]),
        }
    };
}
