//! What is wrong in a profile, and where: for people, as a compiler says it, and for machines.
//!
//! | module | what it is |
//! |---|---|
//! | [`source`] | one file, read with a bound; places in it as a person counts them |
//! | [`problem`] | what is wrong with one value |
//! | [`diagnose`] | all errors of a run, sorted and drawn |
//! | [`text`] | what others wrote, in a message |

pub(crate) mod diagnose;
pub(crate) mod problem;
pub(crate) mod source;
pub(crate) mod text;
