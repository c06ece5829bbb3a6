//! What every long step needs, whichever it is: counters that show how far it is, a way to be interrupted, threads.

pub mod progress;
pub mod stop;
pub mod threads;
