//! A state where nothing leads.
use towpath_patterns::machine;

machine! {
    machine Door(u8) -> (), version 1;
    enum State { initial Closed, Open, Locked }
    enum Event { Push, Pull }
    Closed | Open {
        Push => Open,
        Pull => Closed,
    }
    Locked {
        _ => Open,
    }
}

fn main() {}
