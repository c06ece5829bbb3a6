//! What runs at an employee's desk: the closed browser on the screen, the status bar below it, and what connects both with the
//! device. systemd keeps each of them running; what must be restarted, wiped or bounded is said in its units, not here.
//!
//! ```text
//! livery-kiosk.service    screen ──exec──> sway ──> swaybar ──> bar ─────┐ "settings", "leave"
//!                                            └───> swayidle ─> leave ────┤ (doorbell)
//! livery-browser.service  browser ──exec──> firefox ──> extension <──> link ──> systemd: alive, end
//!                                                                         └───> NetworkManager: state, Wi-Fi
//! livery-confirm.service  confirm ──https──> station: what took effect, once
//! a laptop's session      notice ──> notification: a newer image is ready
//! ```
//!
//! Nothing of it listens on a port: the browser's pages are the Gateway's, and what they could reach they could ask. The extension
//! speaks with `link` through native messaging, which the browser opens to that extension alone.
//!
//! | module | what it does |
//! |---|---|
//! | `settings` | what the image says of this desk |
//! | `renderer` | whether the GPU can draw |
//! | `screen` | becomes the compositor |
//! | `browser` | a new profile; becomes the browser |
//! | `link` | the browser's other end: heartbeat, end of a session, network settings |
//! | `watchdog` | what systemd is told of the browser |
//! | `doorbell` | bar and idle time call the link |
//! | `bar` | the status bar: network, sound, keyboard, clock |
//! | `network` | NetworkManager: state, Wi-Fi |
//! | `confirm` | tells the station what took effect |
//! | `notice` | tells a laptop's employee that a newer image is ready |
//! | `words` | the texts in the employee's language |
//! | [`cli`] | the command line |

#![warn(unreachable_pub)]

mod bar;
mod browser;
pub mod cli;
mod confirm;
mod doorbell;
mod link;
mod network;
mod notice;
mod renderer;
mod screen;
mod settings;
mod watchdog;
mod words;
