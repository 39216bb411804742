//! A pair that nobody thought of.
use towpath_patterns::machine;

machine! {
    machine Door(u8) -> (), version 1;
    enum State { initial Closed, Open }
    enum Event { Push, Pull }
    Closed {
        Push => Open,
    }
    Open {
        Pull => Closed,
        Push => stay,
    }
}

fn main() {}
