//! UEFI Secure Boot with keys of one's own: what firmware is given to trust, and the signature that it then asks for.
//!
//! ```text
//! livery keygen:  PK, KEK, db  ->  certificates and signed variables, for the firmware
//! livery build:   UKI + db key ->  the same UKI with an Authenticode signature
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`keygen`] | makes the three keys, their certificates, and what a firmware is given |
//! | [`signer`] | a private key with its certificate, checked to be a pair |
//! | [`authenticode`] | an EFI program's digest, and the signature into it |
//! | [`variables`] | signature lists and authenticated variables |
//! | [`pkcs7`] | the signatures that both of these carry |
//!
//! Signing is done here and not by `sbsign`: that one stamps the time of signing, so the same inputs would give another
//! image each time, and the private key would have to be let into a tool's sandbox. RSA with PKCS #1 v1.5 padding, the only
//! kind that all firmware takes, has no randomness: the same bytes are signed the same.

pub(crate) mod authenticode;
pub(crate) mod keygen;
pub(crate) mod pkcs7;
pub(crate) mod signer;
pub(crate) mod variables;
