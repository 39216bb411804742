//! Names that were not declared.
use towpath_patterns::machine;

machine! {
    machine Door(u8) -> (), version 1;
    enum State { initial Closed, Open }
    enum Event { Push, Pull }
    Closed {
        Push => Opne,
        Pul => stay,
    }
    Opened {
        _ => Closed,
    }
}

fn main() {}
