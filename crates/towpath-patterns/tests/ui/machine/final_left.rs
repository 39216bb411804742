//! A final state that is left, and that has a timeout.
use towpath_patterns::machine;

machine! {
    machine Door(u8) -> (), version 1;
    enum State { initial Closed, final Open }
    enum Event { Push, Pull }
    Closed {
        Push => Open,
        Pull => stay,
    }
    Open {
        after 2h => Pull,
        Pull => Closed,
        Push => stay,
    }
}

fn main() {}
