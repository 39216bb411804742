//! Networks: a graph of processes, declared before it runs.

mod cycles;
mod graph;

pub use cycles::{Cycle, CycleStep};
pub use graph::{ChannelEdge, Direction, Graph, Outside, Port, ProcessKind, ProcessNode};
