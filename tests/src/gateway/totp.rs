//! One-time codes as a smartphone's authenticator makes them: TOTP (RFC 6238) with HMAC-SHA-1, 6 digits, steps of 30 s, by `totp-rs`.
//!
//! In: a secret of bytes (Base32 as text, RFC 4648) and a time in seconds since 1970. Out: a code, or the step that a given
//! code belongs to.

use livery_contract::{Fault, Result};
use totp_rs::{Builder, Totp};

/// Seconds a code lasts (RFC 6238, section 5.2).
pub const STEP: u64 = 30;
/// How many steps a phone's clock may be off, either way (RFC 6238, section 6).
pub const DRIFT: u16 = 1;

/// The most bytes of a secret.
const MOST: usize = 128;

/// A user's shared secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Totp);

impl Secret {
    /// A new one of 160 bits, as RFC 4226 (section 4, R6) recommends.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0; 20];
        getrandom::fill(&mut bytes).map_err(|error| Fault::internal("no randomness").cause(error))?;
        Self::of(totp_rs::Secret::new_stack(bytes))
    }

    /// From Base32, as an authenticator app takes it: capitals or not, spaces and padding ignored.
    ///
    /// # Errors
    /// Where it is not Base32, shorter than 128 bits (RFC 4226, section 4, R6), or longer than [`MOST`].
    pub fn parse(text: &str) -> Result<Self> {
        let text: String = text.chars().filter(|character| !matches!(character, ' ' | '=')).collect();
        let secret = totp_rs::Secret::try_from_base32(text.to_ascii_uppercase());
        let secret = secret.map_err(|error| Fault::refused("a one-time code's secret is not Base32 (A-Z, 2-7)").cause(error))?;
        let length = secret.as_bytes().len();
        if length > MOST {
            return Err(Fault::refused(format!("a one-time code's secret has {length} bytes, at most {MOST} are allowed")));
        }
        Self::of(secret)
    }

    fn of(secret: totp_rs::Secret) -> Result<Self> {
        let totp = Builder::new().with_step_duration(STEP).with_skew(DRIFT).with_secret(secret).build();
        totp.map(Self).map_err(|error| Fault::refused("a one-time code's secret can't be used").cause(error))
    }

    /// As Base32 without padding.
    pub fn to_base32(&self) -> String {
        self.0.secret().to_base32()
    }

    /// The code that a phone shows at `seconds` since 1970.
    pub fn code(&self, seconds: u64) -> String {
        self.0.generate(seconds).to_string()
    }

    /// The step whose code this is, if it is within [`DRIFT`] of `seconds`.
    pub fn step_of(&self, code: &str, seconds: u64) -> Option<u64> {
        self.0.check(code, seconds)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The secret of RFC 6238, appendix B.
    const RFC: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn codes_of_rfc_6238() {
        // Appendix B, SHA-1; its codes have 8 digits, ours are the last 6 of them.
        let secret = Secret::parse(RFC).unwrap();
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret.code(seconds), code, "{seconds}");
        }
    }

    #[test]
    fn secrets_as_a_person_types_them() {
        let secret = Secret::parse(RFC).unwrap();
        assert_eq!(secret.to_base32(), RFC);
        assert_eq!(Secret::parse("gezd gnbv gy3t qojq gezd gnbv gy3t qojq ====").unwrap(), secret);
        for length in 16..40 {
            let bytes: Box<[u8]> = (0_u8..length).map(|byte| byte.wrapping_mul(37)).collect();
            let secret = Secret::of(totp_rs::Secret::new(bytes)).unwrap();
            assert_eq!(Secret::parse(&secret.to_base32().to_lowercase()).unwrap(), secret);
        }
        assert!(Secret::parse("GEZDGNBV").is_err(), "too short");
        assert!(Secret::parse(&"A".repeat(8 * 26)).is_err(), "too long");
        assert!(Secret::parse("0EZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").is_err());
    }

    #[test]
    fn one_step_either_way() {
        let secret = Secret::parse(RFC).unwrap();
        let now = 1_111_111_111_u64;
        for (shift, accepted) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let code = secret.code(now.checked_add_signed(shift * 30).unwrap());
            assert_eq!(secret.step_of(&code, now).is_some(), accepted, "{shift}");
        }
    }
}
