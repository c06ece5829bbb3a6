//! Reading a Livery store, as the agent, the station and `livery` all do.
//!
//! A store is a TUF repository whose targets are manifests, and a heap of blobs (chunk maps, packs) found by their SHA-256:
//!
//! ```text
//! STORE/metadata/  root, targets, personal, snapshot, timestamp (JSON, TUF 1.0)
//! STORE/targets/   SHA256.NAME@VERSION.json               manifests of masters
//!                  SHA256.NAME@VERSION+ORDER.json         manifests of personal images, signed by the role `personal`
//! STORE/blobs/sha256/3f/3f2a…                             chunk maps and packs
//! ```
//!
//! In: a folder, a URL or an object store's bucket, and the trusted `root.json`. Out: manifests and images that the
//! signatures vouch for, and ranges of packs that the chunk digests will vouch for. Fails with exit 4 where something is not
//! trusted, 5 where the source does not answer as it should.
//!
//! | module | what it does |
//! |---|---|
//! | [`location`] | where a store is: a folder, behind HTTPS, or in an object store |
//! | `fetch` | bytes from there: whole files with a limit, ranges |
//! | `trust` | TUF over that, by `tough`; its errors as ours |
//! | `open` | the opened store: manifests, images, blobs |

#![warn(unreachable_pub)]

mod fetch;
pub mod location;
mod open;
mod trust;

pub use fetch::Access;
pub use location::Location;
pub use open::{Image, Store};
