//! What a machine begins with.
use towpath_patterns::machine;

machine! {
    pub struct Door;
}

fn main() {}
