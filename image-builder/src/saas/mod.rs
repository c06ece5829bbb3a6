//! Endpoint lists: which host names and addresses a service has, by its provider's own word.
//!
//! A list is a file beside the profiles: vendored, dated, with a digest of its content, so that no build depends on what a
//! provider publishes that day; [`livery_profile::EndpointList`] is its form. `livery saas update` takes a newer one and shows
//! what would change before it is accepted.
//!
//! | module | |
//! |---|---|
//! | [`microsoft`] | Microsoft 365's web service for endpoints |
//! | [`change`] | what two lists differ in |
//! | [`update`] | the command |

pub(crate) mod change;
pub(crate) mod microsoft;
pub(crate) mod update;
