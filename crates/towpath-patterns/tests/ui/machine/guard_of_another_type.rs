//! A guard is a function of data, event and time, and an action gives an option.
use std::time::SystemTime;
use towpath_patterns::machine;

machine! {
    machine Door(u8) -> (), version 1;
    enum State { initial Closed, Open }
    enum Event { Push }
    Closed {
        Push if fits => Open,
        Push => stay,
    }
    Open {
        Push => Closed / count,
    }
}

fn fits(_: &u8, _: &Event) -> bool {
    true
}

fn count(_: &mut u8, _: &Event, _: SystemTime) {}

fn main() {}
