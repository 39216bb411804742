//! An arm behind those that cover everything.
use std::time::SystemTime;
use towpath_patterns::machine;

machine! {
    machine Door(u8) -> (), version 1;
    enum State { initial Closed, Open }
    enum Event { Push, Pull }
    Closed {
        Push if fits => Open,
        Push if !fits => stay,
        Push => refuse "why",
        Pull => stay,
    }
    Open {
        Push => stay,
        Push => stay,
        Pull => Closed,
    }
}

fn fits(_: &u8, _: &Event, _: SystemTime) -> bool {
    true
}

fn main() {}
