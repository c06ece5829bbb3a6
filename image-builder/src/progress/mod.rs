//! What a person sees of long work: a bar on a terminal, plain lines elsewhere, events with `--json`.
//!
//! | module | what it is |
//! |---|---|
//! | `report` | where it goes; notes and events besides; the sum at the end |
//! | `step` | one piece of work |
//! | `times` | how long each took |
//! | `units` | amounts for a person |

mod report;
mod step;
mod times;
mod units;

pub(crate) use report::Progress;
pub(crate) use units::bytes;
