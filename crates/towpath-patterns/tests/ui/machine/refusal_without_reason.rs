//! A refusal says why.
use towpath_patterns::machine;

machine! {
    machine Door(u8) -> (), version 1;
    enum State { initial Closed, Open }
    enum Event { Push }
    Closed | Open {
        Push => refuse,
    }
}

fn main() {}
