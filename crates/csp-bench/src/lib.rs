//! CSP-bench: small programs with a concurrency bug each, in the shapes that studies of real programs have found, and
//! what becomes of them here.
//!
//! What always holds:
//! - A kernel is written from its shape, in ordinary Towpath code. Nothing in it knows a simulator or a detector.
//! - Every kernel has a fixed twin, which has no bug.
//! - What ownership makes impossible to write, or turns into a value, or what a scope removes, has a twin with shared
//!   handles, as a Go programmer would write it; that one has the bug.
//!
//! One file a family in `kernels/`; [`kernel::Kernel`] says what each of them states about itself, [`judge`] runs them under
//! the simulator, and [`table`] tells how it went. The README follows.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod judge;
pub mod kernel;
pub mod kernels;
pub mod speed;
pub mod table;

pub use kernel::{Class, Fate, Kernel, Program, Stuck, Symptom};
