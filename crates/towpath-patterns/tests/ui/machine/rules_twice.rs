//! Rules for one pair in two blocks, and a rest that nobody needs.
use towpath_patterns::machine;

machine! {
    machine Door(u8) -> (), version 1;
    enum State { initial Closed, Open }
    enum Event { Push, Pull }
    Closed | Open {
        Push => Open,
    }
    Open {
        Push => stay,
        Pull => Closed,
        _ => refuse "why",
    }
    Closed {
        Pull => stay,
    }
}

fn main() {}
