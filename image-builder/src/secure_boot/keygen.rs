//! The keys of Secure Boot: one pair for each of PK, KEK and db, and the files that a firmware is given.
//!
//! ```text
//! secure-boot.key, secure-boot.pem     db's pair: signs UKIs; needed wherever images are built
//! secure-boot-KEK.key                  signs what changes db; belongs in a safe
//! secure-boot-PK.key                   signs what changes KEK; belongs in a safe
//! secure-boot/PK.cer .esl .auth        public: the certificate (DER), as signature list, and signed for the firmware;
//! secure-boot/KEK.… db.…               KEK is signed by PK, db by KEK, PK by itself
//! ```

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use livery_contract::{Fault, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use uuid::Uuid;

use super::{
    signer::{self, Signer},
    variables::{self, Variable},
};

/// The folder with what a firmware is given.
pub(crate) const PUBLIC: &str = "secure-boot";
/// Firmware does not look at a certificate's dates (UEFI 2.10, section 32.5.3.3): they are for people and other tools.
const YEARS: i64 = 20;

fn private(folder: &Path, variable: Variable) -> PathBuf {
    match variable {
        Variable::Db => folder.join(signer::KEY),
        Variable::Pk | Variable::Kek => folder.join(format!("secure-boot-{}.key", variable.name())),
    }
}

/// The first of the files that is there already.
pub(crate) fn there(folder: &Path) -> Option<PathBuf> {
    let keys = Variable::ALL.map(|variable| private(folder, variable));
    keys.into_iter().chain([folder.join(signer::CERTIFICATE), folder.join(PUBLIC)]).find(|path| path.symlink_metadata().is_ok())
}

/// Makes all of them in a folder that has none.
///
/// # Errors
/// Exit 3 where one of the files is there already: keys are never overwritten.
pub(crate) fn generate(folder: &Path) -> Result<()> {
    if let Some(path) = there(folder) {
        return Err(Fault::refused(
            "Secure Boot keys exist already; devices that trust them would not start systems signed with other keys",
        )
        .at(path.display())
        .fix("keep using these keys, or give an empty folder with --out"));
    }
    let (now, owner) = (Timestamp::now(), Uuid::new_v4());
    let pairs = Variable::ALL.map(|variable| Pair::new(&format!("Livery Secure Boot {}", variable.name()), now));
    let [pk, kek, db] = pairs;
    let (pk, kek, db) = (pk?, kek?, db?);
    let public = folder.join(PUBLIC);
    fs::create_dir(&public).map_err(|error| failed(&public, error))?;
    for (variable, pair, above) in [(Variable::Pk, &pk, &pk), (Variable::Kek, &kek, &pk), (Variable::Db, &db, &kek)] {
        let certificate = pair.signer.certificate();
        let list = variables::list(certificate, owner)?;
        let auth = variables::authenticated(variable, &list, &above.signer, now)?;
        for (ending, bytes) in [("cer", certificate), ("esl", list.as_slice()), ("auth", auth.as_slice())] {
            write(&public.join(format!("{}.{ending}", variable.name())), bytes, 0o644)?;
        }
        write(&private(folder, variable), pair.key.as_bytes(), 0o600)?;
    }
    write(&folder.join(signer::CERTIFICATE), db.certificate.as_bytes(), 0o644)
}

/// A new RSA key and its self-signed certificate.
pub(crate) struct Pair {
    /// PEM.
    pub(crate) key: String,
    /// PEM.
    pub(crate) certificate: String,
    /// The two together.
    pub(crate) signer: Signer,
}

impl Pair {
    /// For the subject `name`; the date of today is added to that.
    pub(crate) fn new(name: &str, now: Timestamp) -> Result<Self> {
        let failed = |error: rcgen::Error| Fault::internal("a key can't be made").cause(error);
        // 2048 bits: what every firmware takes; a longer one is refused by some.
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(failed)?;
        let mut params = CertificateParams::default();
        let date = now.to_zoned(TimeZone::UTC).date();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("{name} {date}"));
        // An authority of its own and without a list of uses: older firmware does not believe a self-signed certificate else.
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let part = |years: i64| {
            let date = date.checked_add(years.years()).map_err(|error| Fault::internal("a date does not fit").cause(error))?;
            Ok::<_, Fault>(rcgen::date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs()))
        };
        params.not_before = part(0)?;
        params.not_after = part(YEARS)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        let signer = Signer::new(key.serialized_der(), certificate.der().to_vec())?;
        Ok(Self { key: key.serialize_pem(), certificate: certificate.pem(), signer })
    }
}

/// Writes a file that was not there, with its mode from the start: no moment in which others can read a key.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: std::io::Error) -> Fault {
    Fault::refused("a key can't be written").at(path.display()).cause(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    use super::*;

    #[test]
    fn each_variable_is_signed_by_the_one_above_it() {
        let folder = tempfile::tempdir().unwrap();
        generate(folder.path()).unwrap();
        let public = folder.path().join(PUBLIC);
        let read = |name: &str| fs::read(public.join(name)).unwrap();
        for (name, above, vendor) in [("PK", "PK", 0x8b), ("KEK", "PK", 0x8b), ("db", "KEK", 0xd7)] {
            let (auth, list, certificate) =
                (read(&format!("{name}.auth")), read(&format!("{name}.esl")), read(&format!("{name}.cer")));
            assert!(list.ends_with(&certificate) && auth.ends_with(&list));
            let (time, rest) = auth.split_at(16);
            let length = usize::try_from(u32::from_le_bytes(rest[..4].try_into().unwrap())).unwrap();
            assert_eq!(auth.len(), 16 + length + list.len());
            // A SignedData without a ContentInfo, SHA-256 at the place where firmware looks for it.
            let pkcs7 = &rest[24..length];
            assert_eq!(pkcs7[13..22], [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01], "{name}");
            let mut signed: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let guid = if name == "db" { "d719b2cb-3d3a-4596-a3bc-dad00e67656f" } else { "8be4df61-93ca-11d2-aa0d-00e098032b8c" };
            signed.extend(Uuid::parse_str(guid).unwrap().to_bytes_le());
            assert!(guid.starts_with(&format!("{vendor:x}")));
            signed.extend([0x27, 0, 0, 0]);
            signed.extend(time);
            signed.extend(&list);
            let above = read(&format!("{above}.cer"));
            let (_, above) = X509Certificate::from_der(&above).unwrap();
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &above.public_key().subject_public_key.data);
            key.verify(&signed, &pkcs7[pkcs7.len() - 256..]).unwrap_or_else(|_| panic!("{name} is not signed"));
        }
        for name in ["secure-boot.key", "secure-boot-KEK.key", "secure-boot-PK.key"] {
            assert_eq!(fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(Signer::open(folder.path()).unwrap().certificate(), read("db.cer"));
    }

    #[test]
    fn nothing_is_overwritten_and_a_wrong_pair_is_refused() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        generate(one.path()).unwrap();
        assert!(generate(one.path()).unwrap_err().to_string().contains("already"));
        assert_eq!(Signer::open(other.path()).unwrap_err().exit().code(), 2);
        generate(other.path()).unwrap();
        fs::copy(other.path().join(signer::KEY), one.path().join(signer::KEY)).unwrap();
        let fault = Signer::open(one.path()).unwrap_err();
        assert!(fault.exit().code() == 3 && fault.to_string().contains("do not belong together"), "{fault}");
        fs::copy(one.path().join(signer::CERTIFICATE), one.path().join(signer::KEY)).unwrap();
        assert!(Signer::open(one.path()).unwrap_err().to_string().contains("CERTIFICATE"));
        let twice = fs::read_to_string(one.path().join(signer::CERTIFICATE)).unwrap().repeat(2);
        fs::write(one.path().join(signer::KEY), twice).unwrap();
        assert!(Signer::open(one.path()).unwrap_err().to_string().contains("more than one PEM block"));
        fs::write(one.path().join(signer::KEY), "").unwrap();
        assert!(Signer::open(one.path()).unwrap_err().to_string().contains("no PEM block"));
    }
}
