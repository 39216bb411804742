//! The gateway's HTTP side, over real sockets of this machine. Where a test waits for something that must happen, it waits long; how
//! long something took is never asserted.

mod limits;
mod proxy;
mod smuggling;
mod stop;
mod support;
mod tls;
mod two;
mod workers;
