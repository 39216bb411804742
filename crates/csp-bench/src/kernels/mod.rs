//! The kernels, a file for each family.

mod cond;
mod futures;
mod group;
mod leaks;
mod lock_send;
mod lock_wait;
mod locks;
mod workers;

use crate::Kernel;

/// All of them, family by family.
pub fn all() -> impl Iterator<Item = &'static Kernel> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

const FAMILIES: &[&[Kernel]] = &[
    cond::KERNELS,
    lock_wait::KERNELS,
    lock_send::KERNELS,
    group::KERNELS,
    locks::KERNELS,
    leaks::KERNELS,
    futures::KERNELS,
    workers::KERNELS,
];
