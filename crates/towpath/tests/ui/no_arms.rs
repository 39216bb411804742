//! A select has arms.

fn main() {
    towpath::select_blocking! {}
}
