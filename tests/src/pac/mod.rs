//! One PAC, many judges: the same URLs to real Firefox, real Chromium, pacparser and `livery route`.
//!
//! | module | |
//! |---|---|
//! | [`urls`] | thousands of URLs, at the borders of each rule |
//! | [`sandbox`] | a browser with the policies of a device, and none of this machine's |
//! | [`firefox`] | asks Firefox's proxy service, by Marionette |
//! | [`chromium`] | lets Chromium go to each, and looks where it went |
//! | [`crossing`] | where it can go: a proxy, and everything else |
//! | [`pacparser`] | asks pacparser |

pub mod chromium;
pub mod crossing;
pub mod firefox;
pub mod pacparser;
pub mod sandbox;
pub mod urls;
