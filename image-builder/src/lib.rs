//! From a profile to images in a store: the library under the `livery` program.
//!
//! ```text
//! profile -> plan -> stages -> disk image -> store
//! ```
//!
//! What IT writes is read, checked and resolved by [`livery_profile`]. Nobody but the program asks for more than [`cli`].
//!
//! | module | what it is |
//! |---|---|
//! | `profiles` | the profiles that a command is given |
//! | `lock` | exactly which packages a build takes |
//! | `stages` | from packages to a disk image, stage by stage |
//! | `cache` | a stage's result under the digest of all its inputs |
//! | `sandbox` | a tool in a root of its own, by bubblewrap |
//! | `gpt` | partition tables, read and made |
//! | `plan` | a build as keys: what would run, and why |
//! | `trust` | who signs what a device checks |
//! | `build` | the stages of a master in their order: `livery build` |
//! | `medium` | the stages of the agent's boot medium: `livery medium` |
//! | `image` | masters and personal images: import, personalise, list, inspect, export |
//! | `personal` | what is one device's own: signed personal layers, recovery keys |
//! | `codes` | one-time codes for a roster: `livery codes` |
//! | `inspect` | looking into images: their files, what must not be in them, what they are made of, what differs |
//! | `publish` | bytes to chunks and packs, manifests to signed targets |
//! | `secure_boot` | what firmware is given to trust, and the signature that it asks for |
//! | `route` | which way a laptop's traffic goes: PAC, browser policies, tunnel, firewall |
//! | `saas` | endpoint lists of services, and newer ones |
//! | `replace` | a file in another's place, whole or not at all |
//! | `rootless` | building as an ordinary user |
//! | `progress` | what a person sees of long work |
//! | [`cli`] | the program: its commands, their flags and what they print |

#![warn(unreachable_pub)]

mod build;
mod cache;
pub mod cli;
mod codes;
mod gpt;
mod image;
mod inspect;
mod lock;
mod medium;
mod personal;
mod plan;
mod profiles;
mod progress;
mod publish;
mod replace;
mod rootless;
mod route;
mod saas;
mod sandbox;
mod secure_boot;
mod stages;
mod trust;
