//! Two initial states, a name twice.
use towpath_patterns::machine;

machine! {
    machine Door(u8) -> (), version 1;
    enum State { initial Closed, initial Open, Closed }
    enum Event { Push, Push }
    _ {
        Push => Open,
    }
}

fn main() {}
