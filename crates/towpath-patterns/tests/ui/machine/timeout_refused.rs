//! Time brings what is refused.
use towpath_patterns::machine;

machine! {
    machine Door(u8) -> (), version 1;
    enum State { initial Closed, Open }
    enum Event { Push, Pull, Kick }
    Closed {
        Push | Kick => Open,
        Pull => stay,
    }
    Open {
        after 1s => Kick,
        Push => stay,
        Pull => Closed,
        Kick => refuse "why",
    }
}

fn main() {}
