//! What a process may return.

use crate::BoxError;

/// What a process of a scope may return: nothing, or a `Result` whose error is any error.
#[diagnostic::on_unimplemented(
    message = "a process cannot return `{Self}`",
    label = "this process returns `{Self}`",
    note = "a process returns `()`, or a `Result` whose error converts into `Box<dyn Error + Send + Sync>`",
    note = "a value goes into `Ok(value)`; what the process produces on the way is better sent on a channel"
)]
pub trait Outcome {
    /// What a [`Join`](crate::Join) of it yields.
    type Value;

    /// The value, or why there is none.
    ///
    /// # Errors
    /// The error that the process returned.
    fn into_result(self) -> Result<Self::Value, BoxError>;
}

impl Outcome for () {
    type Value = ();

    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A process that never returns, such as a loop without a way out.
impl Outcome for Never {
    type Value = ();

    fn into_result(self) -> Result<(), BoxError> {
        self
    }
}

/// The type `!`, which stable Rust lets nobody name but as what a function returns.
type Never = <fn() -> ! as Returns>::Type;

#[doc(hidden)]
pub trait Returns {
    type Type;
}

impl<T> Returns for fn() -> T {
    type Type = T;
}

impl<T, E: Into<BoxError>> Outcome for Result<T, E> {
    type Value = T;

    fn into_result(self) -> Result<T, BoxError> {
        self.map_err(Into::into)
    }
}
