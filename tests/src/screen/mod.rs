//! A terminal's real root in a [container](crate::container), with a headless screen (wlroots' headless backend): for what
//! a browser must be tried at for minutes, which in an emulated machine would be hours. Keys and pictures are real ones, the
//! compositor's; so are units, watchdog, NetworkManager and the browser. What is not: kernel, seat, GPU, Wi-Fi.
//!
//! | module | what it is |
//! |---|---|
//! | [`ground`] | a test with the terminal's disk, in namespaces of its own |
//! | [`desk`] | the terminal: what is otherwise than on a device, its browser asked |
//! | [`person`] | presses keys, looks at the screen |
//! | [`hotel`] | a network with a sign-in page of its own |
//! | [`trap`] | a page that tries every way out by itself, and a place that nobody may reach |

pub mod desk;
pub mod ground;
pub mod hotel;
pub mod person;
pub mod trap;
