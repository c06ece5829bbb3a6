//! Which settings there are. [`table`] is the one list; everything else here is made of it or is what it is made of.
//!
//! | module | what it is |
//! |---|---|
//! | [`choice`] | fixed choices of words |
//! | [`form`] | what a value looks like |
//! | [`setting`] | one setting: name, form, default, for which kinds, meaning |
//! | [`table`] | all of them |
//! | [`written`] | values as a person writes them, and as JSON |
//! | [`reference`] | the guide's key reference |
//! | [`schema`] | a JSON Schema, for editors |

pub(crate) mod choice;
pub(crate) mod form;
pub(crate) mod reference;
pub(crate) mod schema;
pub(crate) mod setting;
pub(crate) mod table;
pub(crate) mod written;
