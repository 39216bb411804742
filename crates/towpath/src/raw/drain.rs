//! Dropping many values, of which one may panic.

/// Drops what `pop` yields, all of it even when a drop panics.
pub(super) fn drain<T>(pop: impl FnMut() -> Option<T>) {
    struct Rest<T, F: FnMut() -> Option<T>>(F);
    impl<T, F: FnMut() -> Option<T>> Drop for Rest<T, F> {
        fn drop(&mut self) {
            while let Some(value) = (self.0)() {
                drop(value);
            }
        }
    }
    let mut rest = Rest(pop);
    while let Some(value) = (rest.0)() {
        drop(value);
    }
}
