//! A terminal's real root, started by its own systemd in a container, with a screen that is none (wlroots' headless backend): for what
//! a browser must be tried at for minutes, which in an emulated machine would be hours. Keys and pictures are real ones, the
//! compositor's; so are units, watchdog, NetworkManager and the browser. What is not: kernel, seat, GPU, Wi-Fi.
//!
//! | module | what it is |
//! |---|---|
//! | [`ground`] | namespaces of the test's own: network, mounts, processes, which all end with it |
//! | [`root`] | the image's root file system, mounted as on the device |
//! | [`desk`] | the container: started, its cable pulled, its units asked |
//! | [`person`] | presses keys, looks at the screen |
//! | [`hotel`] | a network with a sign-in page of its own |
//! | [`trap`] | a page that tries every way out by itself, and a place that nobody may reach |

pub mod desk;
pub mod ground;
pub mod hotel;
pub mod person;
pub mod root;
pub mod trap;
