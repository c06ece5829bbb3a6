//! Looks at the sources for what the compiler does not look at. `scripts/lint` runs it; it reads files and asks cargo for its targets, no more.
//!
//! | check | what it finds | module |
//! |---|---|---|
//! | `circles` | files of one crate that import each other in a circle | [`circles`] |
//! | `orphans` | Rust files that nothing compiles | [`orphans`] |
//! | `sleeps` | waits of a fixed length that say no reason | [`sleeps`] |
//! | `claims` | claims of `docs/claims.md` without a test, rows of the threat model without a claim | [`claims`] |
//!
//! In: a folder with a Cargo workspace. Out: [`Finding`]s, each with its place and how to mend it, in the same order each time.
//! [`workspace`] knows the packages, [`tree`] the modules of one target, [`names`] which file a path in the code leads to.

pub mod circles;
pub mod claims;
mod finding;
mod graph;
pub mod names;
pub mod orphans;
pub mod sleeps;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod workspace;

pub use finding::Finding;
