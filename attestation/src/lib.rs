//! A device proves by its TPM that it is one machine of a known maker, and that it runs the signed agent. Both ends of that.
//!
//! ```text
//! device ── EK certificate, EK, AK, this boot's key ──> is the certificate by a maker that the site trusts?        makers
//! device <── a secret that only that EK opens, for that AK ── a challenge                                          credential
//! device ── the secret; a quote over PCRs and this boot's key ──> opened? the right PCRs, the right boot?          quote
//! device ── its record; a quote over it ──> the same TPM, the same boot                                            quote
//! ```
//!
//! The endorsement key (EK) is the TPM's own, and the maker certifies it; it only decrypts. The attestation key (AK) is made on the TPM,
//! and signs only what the TPM itself puts together. After TCG, Trusted Platform Module Library, Part 1, sections 24 (credential
//! protection) and 31 (attestation). What is parsed here and in [`livery_contract::tpm`] comes from a device that nobody has admitted yet.
//!
//! | module | what it does | who asks |
//! |---|---|---|
//! | [`device`] | the TPM's side, by raw commands | agent |
//! | [`makers`] | whether an endorsement key is of a known maker | station |
//! | [`credential`] | a secret that only that TPM opens | station |
//! | [`quote`] | whether a quote holds | station, audits |

#![warn(unreachable_pub)]

pub mod credential;
pub mod device;
pub mod makers;
pub mod quote;
