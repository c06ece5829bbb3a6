//! Merged values to a profile: what is missing, what contradicts, and every value in its type.
//!
//! | module | what it is |
//! |---|---|
//! | [`model`], [`routing`] | a profile as the stages consume it |
//! | [`import`] | how a ready-made image is taken |
//! | [`values`] | merged values, each in its type |
//! | [`hosts`] | which settings list hosts |
//! | [`contradictions`] | what a laptop's routes contradict themselves in |
//! | [`rules`] | what settings demand of one another |
//! | [`assemble`] | a profile from merged values |
//! | [`read`] | all of it in order |

pub(crate) mod assemble;
pub(crate) mod contradictions;
pub(crate) mod hosts;
pub(crate) mod import;
pub(crate) mod model;
pub(crate) mod read;
pub(crate) mod routing;
pub(crate) mod rules;
pub(crate) mod values;
