//! A coordinator at work. In the simulator, where a day passes in no time.
