//! A secret that only one TPM opens, and only for an attestation key that is on it (`TPM2_MakeCredential`, Part 3, section 12.6, done without
//! a TPM): whoever gives it back has shown that both keys are on the same chip.
//!
//! Keys derive by KDFa and KDFe (Part 1, section 11.4.10). All primitives are aws-lc's.

use aws_lc_rs::{
    agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral},
    cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey},
    hmac,
    iv::FixedLength,
    rand::{SecureRandom as _, SystemRandom},
    rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey},
};
use livery_contract::{
    Fault, Result,
    digest::Hasher,
    tpm::public::{Numbers, Public},
};

use crate::quote::point;

/// Bytes of the secret.
pub const SECRET: usize = 32;
const LABEL: &[u8] = b"IDENTITY\0";

/// What goes to the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// `TPM2B_ID_OBJECT`, without its size.
    pub blob: Vec<u8>,
    /// `TPM2B_ENCRYPTED_SECRET`, without its size.
    pub seed: Vec<u8>,
}

/// A credential for this attestation key that this endorsement key opens, and the secret in it.
///
/// # Errors
/// `Untrusted` where the endorsement key's numbers are no key.
pub fn make(ek: &Public, ak: &Public) -> Result<(Credential, [u8; SECRET])> {
    let mut secret = [0; SECRET];
    SystemRandom::new().fill(&mut secret).map_err(|_| Fault::internal("the kernel returned no random bytes"))?;
    let (seed, encrypted) = match &ek.numbers {
        Numbers::Rsa(modulus) => rsa_seed(modulus),
        Numbers::P256(x, y) => p256_seed(x, y),
    }
    .ok_or_else(|| Fault::untrusted("the numbers of the endorsement key are no key"))?;
    let blob = protect(&seed, &ak.name_bytes(), &secret).ok_or_else(|| Fault::internal("a credential cannot be encrypted"))?;
    Ok((Credential { blob, seed: encrypted }, secret))
}

/// A random seed, encrypted to an RSA key (Part 1, annex B.10.4).
fn rsa_seed(modulus: &[u8]) -> Option<([u8; 32], Vec<u8>)> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).ok()?;
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&rsa_der(modulus)?).ok()?).ok()?;
    let mut encrypted = vec![0; key.ciphertext_size()];
    let length = key.encrypt(&OAEP_SHA256_MGF1SHA256, &seed, &mut encrypted, Some(LABEL)).ok()?.len();
    encrypted.truncate(length);
    Some((seed, encrypted))
}

/// An RSA key as a SubjectPublicKeyInfo (RFC 5280, section 4.1; RFC 8017, appendix A.1.1); for a modulus of 2048 bits.
fn rsa_der(modulus: &[u8]) -> Option<Vec<u8>> {
    if modulus.len() != 256 {
        return None;
    }
    // SEQUENCE of 290 bytes; rsaEncryption, and no parameters; BIT STRING of 271, all bits used.
    let mut der = vec![0x30, 0x82, 0x01, 0x22];
    der.extend([0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00]);
    der.extend([0x03, 0x82, 0x01, 0x0f, 0x00]);
    // SEQUENCE of 266 bytes; INTEGER of 257, the first of them zero since the number is positive; INTEGER 65537.
    der.extend([0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00]);
    der.extend(modulus);
    der.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
    Some(der)
}

/// A seed by agreement with a key on P-256 (Part 1, annex C.6.3), and the point from which its owner derives it.
fn p256_seed(x: &[u8; 32], y: &[u8; 32]) -> Option<([u8; 32], Vec<u8>)> {
    let mine = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).ok()?;
    let public = mine.compute_public_key().ok()?;
    let (my_x, my_y) = public.as_ref().get(1..65)?.split_at(32);
    let theirs = UnparsedPublicKey::new(&ECDH_P256, point(x, y));
    let seed = agree_ephemeral(mine, theirs, (), |shared| {
        let mut hasher = Hasher::default();
        for part in [&1_u32.to_be_bytes()[..], shared, LABEL, my_x, x] {
            hasher.update(part);
        }
        Ok(*hasher.finish().as_bytes())
    })
    .ok()?;
    let mut point = Vec::with_capacity(68);
    for half in [my_x, my_y] {
        point.extend([0, 32]);
        point.extend(half);
    }
    Some((seed, point))
}

/// Encrypts and seals a secret, for the object of this name (Part 1, section 24.5).
fn protect(seed: &[u8; 32], name: &[u8], secret: &[u8; SECRET]) -> Option<Vec<u8>> {
    let mut encrypted = u16::try_from(SECRET).ok()?.to_be_bytes().to_vec();
    encrypted.extend(secret);
    let key = UnboundCipherKey::new(&AES_128, kdfa(seed, b"STORAGE\0", name, 128).get(..16)?).ok()?;
    let zero = EncryptionContext::Iv128(FixedLength::from([0; 16]));
    EncryptingKey::cfb128(key).ok()?.less_safe_encrypt(&mut encrypted, zero).ok()?;

    let integrity = hmac::Key::new(hmac::HMAC_SHA256, &kdfa(seed, b"INTEGRITY\0", &[], 256));
    let mut context = hmac::Context::with_key(&integrity);
    context.update(&encrypted);
    context.update(name);
    let tag = context.sign();
    let mut blob = u16::try_from(tag.as_ref().len()).ok()?.to_be_bytes().to_vec();
    blob.extend(tag.as_ref());
    blob.extend(encrypted);
    Some(blob)
}

/// KDFa with SHA-256, of which one block is enough: 32 bytes, `bits` being how many the caller uses.
fn kdfa(key: &[u8], label: &[u8], context: &[u8], bits: u32) -> [u8; 32] {
    let mut hmac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in [&1_u32.to_be_bytes()[..], label, context, &bits.to_be_bytes()] {
        hmac.update(part);
    }
    let mut block = [0; 32];
    block.copy_from_slice(hmac.sign().as_ref());
    block
}
