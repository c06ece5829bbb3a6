//! Keys as they are asked for: endorsement keys after the TCG's standard templates, attestation keys after our own.

/// Indices from which newer TPMs of Intel carry their authorities' certificates (TCG EK Credential Profile, section 2.2.1.5).
pub(super) const BETWEEN: std::ops::RangeInclusive<u32> = 0x01c0_0100..=0x01c0_0103;

/// One kind of endorsement key, and where a TPM has it (TCG EK Credential Profile, section 2.2.1.4; TCG Registry of Reserved TPM 2.0 Handles).
#[derive(Debug)]
pub(super) struct Ek {
    /// NV index of its certificate.
    pub(super) certificate: u32,
    /// NV index of its template, where the maker chose another one.
    pub(super) template: u32,
    /// Handle of the key itself, where it is there.
    pub(super) persistent: u32,
    elliptic: bool,
}

/// RSA with 2048 bits: template L-1.
pub(super) const RSA: Ek = Ek { certificate: 0x01c0_0002, template: 0x01c0_0004, persistent: 0x8101_0001, elliptic: false };
/// NIST P-256: template L-2.
pub(super) const P256: Ek = Ek { certificate: 0x01c0_000a, template: 0x01c0_000c, persistent: 0x8101_0002, elliptic: true };

/// `PolicySecret(TPM_RH_ENDORSEMENT)` by SHA-256: policy A of the profile, annex B.
const POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06,
    0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];

impl Ek {
    /// The standard template.
    pub(super) fn default_template(&self) -> Vec<u8> {
        let kind: u8 = if self.elliptic { 0x23 } else { 0x01 };
        let mut area = vec![0, kind, 0, 0x0b];
        area.extend(0x0003_00b2_u32.to_be_bytes());
        area.extend([0, 32]);
        area.extend(POLICY);
        area.extend([0, 0x06, 0, 128, 0, 0x43]); // AES-128, CFB
        area.extend([0, 0x10]); // no scheme
        if self.elliptic {
            area.extend([0, 0x03, 0, 0x10]); // P-256, no key derivation
            area.extend([0, 32]);
            area.extend([0; 32]);
            area.extend([0, 32]);
            area.extend([0; 32]);
        } else {
            area.extend([0x08, 0x00, 0, 0, 0, 0]); // 2048 bits, exponent 65537
            area.extend([1, 0]);
            area.extend([0; 256]);
        }
        area
    }
}

/// fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, restricted, sign.
const AK: u32 = 0x0005_0472;

/// An attestation key: ECDSA on P-256 with SHA-256.
pub(super) fn ak_p256() -> Vec<u8> {
    let mut area = vec![0, 0x23, 0, 0x0b];
    area.extend(AK.to_be_bytes());
    area.extend([0, 0, 0, 0x10, 0, 0x18, 0, 0x0b, 0, 0x03, 0, 0x10, 0, 0, 0, 0]);
    area
}

/// The same: RSASSA with 2048 bits and SHA-256.
pub(super) fn ak_rsa() -> Vec<u8> {
    let mut area = vec![0, 0x01, 0, 0x0b];
    area.extend(AK.to_be_bytes());
    area.extend([0, 0, 0, 0x10, 0, 0x14, 0, 0x0b, 0x08, 0x00, 0, 0, 0, 0, 0, 0]);
    area
}
