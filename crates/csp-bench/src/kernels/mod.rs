//! The kernels, a file for each family.

use crate::Kernel;

/// All of them, family by family.
pub fn all() -> impl Iterator<Item = &'static Kernel> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

const FAMILIES: &[&[Kernel]] = &[];
