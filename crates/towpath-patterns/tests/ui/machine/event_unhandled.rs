//! An event that is refused everywhere.
use towpath_patterns::machine;

machine! {
    machine Door(u8) -> (), version 1;
    enum State { initial Closed, Open }
    enum Event { Push, Pull, Kick }
    Closed {
        Push => Open,
        Pull => stay,
    }
    Open {
        Push => stay,
        Pull => Closed,
    }
    _ {
        Kick => refuse "we do not kick doors",
    }
}

fn main() {}
