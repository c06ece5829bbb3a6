//! One-time codes as a smartphone's authenticator makes them: TOTP (RFC 6238) with HMAC-SHA-1, 6 digits, steps of 30 s.
//!
//! In: a secret of bytes (Base32 as text, RFC 4648) and a time in seconds since 1970. Out: a code, or the step that a given
//! code belongs to.

use hmac::{Hmac, KeyInit as _, Mac as _};
use livery_contract::{Fault, Result};
use sha1::Sha1;

/// Seconds a code lasts (RFC 6238, section 5.2).
pub const STEP: u64 = 30;
/// How many steps a phone's clock may be off, either way (RFC 6238, section 6).
pub const DRIFT: u64 = 1;
const DIGITS: usize = 6;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A user's shared secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// A new one of 160 bits, as RFC 4226 (section 4, R6) recommends.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn generate() -> Result<Self> {
        let mut bytes = vec![0; 20];
        getrandom::fill(&mut bytes).map_err(|error| Fault::internal("no randomness").cause(error))?;
        Ok(Self(bytes))
    }

    /// From Base32, as an authenticator app takes it: capitals or not, spaces and padding ignored.
    ///
    /// # Errors
    /// Where it is not Base32, or shorter than 128 bits (RFC 4226, section 4, R6).
    pub fn parse(text: &str) -> Result<Self> {
        let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_u32, 0);
        for character in text.bytes().filter(|character| !matches!(character, b' ' | b'=')) {
            let Some(value) = ALPHABET.iter().position(|known| *known == character.to_ascii_uppercase()) else {
                return Err(Fault::refused("a one-time code's secret is not Base32 (A-Z, 2-7)"));
            };
            buffer = (buffer << 5 | u32::try_from(value).unwrap_or(0)) & 0xfff;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                bytes.push(u8::try_from(buffer >> bits & 0xff).unwrap_or(0));
            }
        }
        if bytes.len() < 16 || bytes.len() > 128 {
            return Err(Fault::refused(format!("a one-time code's secret has {} bytes, 16 to 128 are allowed", bytes.len())));
        }
        Ok(Self(bytes))
    }

    /// As Base32 without padding.
    pub fn to_base32(&self) -> String {
        let (mut text, mut buffer, mut bits) = (String::new(), 0_u32, 0);
        for byte in &self.0 {
            buffer = (buffer << 8 | u32::from(*byte)) & 0xfff;
            bits += 8;
            while bits >= 5 {
                bits -= 5;
                text.push(char::from(ALPHABET[(buffer >> bits & 31) as usize]));
            }
        }
        if bits > 0 {
            text.push(char::from(ALPHABET[(buffer << (5 - bits) & 31) as usize]));
        }
        text
    }

    /// The code that a phone shows at `seconds` since 1970.
    pub fn code(&self, seconds: u64) -> String {
        self.code_of_step(seconds / STEP)
    }

    /// The step whose code this is, if it is within [`DRIFT`] of `seconds`.
    pub fn step_of(&self, code: &str, seconds: u64) -> Option<u64> {
        let now = seconds / STEP;
        (now.saturating_sub(DRIFT)..=now + DRIFT).find(|step| self.code_of_step(*step) == code)
    }

    fn code_of_step(&self, step: u64) -> String {
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.0).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        mac.update(&step.to_be_bytes());
        let mac = mac.finalize().into_bytes();
        // Dynamic truncation (RFC 4226, section 5.3).
        let offset = usize::from(mac[19] & 0xf);
        let word = u32::from_be_bytes([mac[offset] & 0x7f, mac[offset + 1], mac[offset + 2], mac[offset + 3]]);
        format!("{:0DIGITS$}", word % 1_000_000)
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

    #[test]
    fn codes_of_rfc_6238() {
        // Appendix B, SHA-1; its codes have 8 digits, ours are the last 6 of them.
        let secret = Secret(b"12345678901234567890".to_vec());
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
    fn base32_round_trip() {
        let secret = Secret(b"12345678901234567890".to_vec());
        assert_eq!(secret.to_base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        for length in 16..40 {
            let secret = Secret((0_u8..length).map(|byte| byte.wrapping_mul(37)).collect());
            assert_eq!(Secret::parse(&secret.to_base32().to_lowercase()).unwrap(), secret);
        }
        assert!(Secret::parse("GEZDGNBV").is_err(), "too short");
        assert!(Secret::parse("0EZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").is_err());
    }

    #[test]
    fn one_step_either_way() {
        let secret = Secret(b"12345678901234567890".to_vec());
        let now = 1_111_111_111_u64;
        for (shift, accepted) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let code = secret.code(now.checked_add_signed(shift * 30).unwrap());
            assert_eq!(secret.step_of(&code, now).is_some(), accepted, "{shift}");
        }
    }
}
