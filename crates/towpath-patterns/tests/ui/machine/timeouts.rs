//! Spans that are none, an event that carries something, one that is refused.
use towpath_patterns::machine;

machine! {
    machine Door(u8) -> (), version 1;
    enum State { initial Closed, Open }
    enum Event { Push, Pull(u8), Kick }
    Closed {
        after 3weeks => Push,
        Push => Open,
        Pull => stay,
        Kick => Open,
    }
    Open {
        after 1s => Pull,
        Push => stay,
        Pull => Closed,
        Kick => refuse "why",
    }
}

fn main() {}
