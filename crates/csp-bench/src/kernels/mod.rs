//! The kernels, a file for each family.

mod chan_ctx_end;
mod chan_ctx_gone;
mod chan_detect;
mod chan_end;
mod chan_gone;
mod chan_once;
mod cond;
mod futures;
mod go;
mod group;
mod leaks;
mod lock_send;
mod lock_wait;
mod locks;
mod misuse;
mod workers;

use crate::Kernel;

/// All of them, family by family.
pub fn all() -> impl Iterator<Item = &'static Kernel> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

const FAMILIES: &[&[Kernel]] = &[
    chan_end::KERNELS,
    chan_gone::KERNELS,
    chan_once::KERNELS,
    chan_detect::KERNELS,
    chan_ctx_end::KERNELS,
    chan_ctx_gone::KERNELS,
    misuse::KERNELS,
    cond::KERNELS,
    lock_wait::KERNELS,
    lock_send::KERNELS,
    group::KERNELS,
    locks::KERNELS,
    leaks::KERNELS,
    futures::KERNELS,
    workers::KERNELS,
];
