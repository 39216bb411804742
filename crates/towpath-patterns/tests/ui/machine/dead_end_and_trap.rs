//! A state that is never left, and two that lead to no end.
use towpath_patterns::machine;

machine! {
    machine Door(u8) -> (), version 1;
    enum State { initial Closed, Open, Jammed, final Gone }
    enum Event { Push, Pull, Take, Hit }
    Closed {
        Push | Pull => Open,
        Take => Gone,
        Hit => Jammed,
    }
    Open {
        Push | Pull | Hit => Jammed,
        Take => refuse "it is open",
    }
    Jammed {
        Push => stay,
        _ => refuse "it is jammed",
    }
    Gone {
        _ => refuse "it is gone",
    }
}

fn main() {}
