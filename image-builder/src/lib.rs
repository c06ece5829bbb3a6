//! From a profile to images in a store: the library under the `livery` program.
//!
//! ```text
//! profile -> plan -> stages -> disk image -> store
//! ```
//!
//! What IT writes is read, checked and resolved by [`livery_profile`].
//!
//! | module | what it is |
//! |---|---|
//! | [`lock`] | exactly which packages a build takes |
//! | [`stages`] | from packages to a disk image, stage by stage |
//! | [`plan`] | a build as keys: what would run, and why |
//! | [`build`] | the stages in their order: `livery build`, `livery medium` |
//! | [`image`] | masters and personal images: import, personalise, list, inspect, export |
//! | [`personal`] | what is one device's own: signed personal layers, recovery keys |
//! | [`codes`] | one-time codes for a roster: `livery codes` |
//! | [`inside`] | looking into images: the files of their partitions |
//! | [`scan`] | what no image may have: secrets, identities, files that anybody may change |
//! | [`sbom`] | what an image is made of, as SPDX |
//! | [`diff`] | what differs between two images, for people |
//! | [`publish`] | bytes to chunks and packs, manifests to signed targets |
//! | [`secure_boot`] | what firmware is given to trust, and the signature that it asks for |
//! | [`trust`] | who signs what a device checks |
//! | [`route`] | which way a laptop's traffic goes: PAC, browser policies, tunnel, firewall |
//! | [`saas`] | endpoint lists of services, and newer ones |
//! | [`mod@replace`] | a file in another's place, whole or not at all |
//! | [`rootless`] | building as an ordinary user |
//! | [`progress`] | what a person sees of long work |
//! | [`cli`] | the program: its commands, their flags and what they print |

pub mod build;
pub mod cli;
pub mod codes;
pub mod diff;
pub mod image;
pub mod inside;
pub mod lock;
pub mod personal;
pub mod plan;
pub mod progress;
pub mod publish;
pub mod replace;
pub mod rootless;
pub mod route;
pub mod saas;
pub mod sbom;
pub mod scan;
pub mod secure_boot;
pub mod stages;
pub mod trust;
