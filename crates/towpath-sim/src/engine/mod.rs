//! The scheduler: simulated processes on coroutines, virtual time.
