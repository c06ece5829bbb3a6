//! Bytes from a store's location: whole small files with a limit, and ranges of large ones.
//!
//! Nothing here is trusted: it only promises that no more is read than was asked for, and that what does not answer
//! fails in bounded time. No retries here either: who asks knows whether it is worth it.
//!
//! | module | what it does |
//! |---|---|
//! | `access` | how a server is reached: authorities, time-outs |
//! | `fetcher` | reads from whichever it is: |
//! | `folder` | a folder |
//! | `web` | an HTTP(S) server |
//! | `objects` | an object store that speaks S3 |
//! | `answer` | an answer's body within bounds, and what other answers mean |

mod access;
mod answer;
mod fetcher;
mod folder;
mod objects;
mod web;

pub use self::access::Access;
pub(crate) use self::{answer::Missing, fetcher::Fetcher};
