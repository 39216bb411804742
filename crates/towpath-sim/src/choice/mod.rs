//! Every choice of a schedule, in one stream.
