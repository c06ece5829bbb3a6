//! Both ends against swtpm, with a maker's authority of its own: what holds, and what must not.
#![allow(clippy::unwrap_used)]

use std::{
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use livery_contract::{
    Digest,
    tpm::{public::Public, quote::digest_of},
};

use super::*;
use crate::{
    credential,
    makers::{Makers, id},
    quote,
};

/// A TPM in software; it ends with this.
struct Swtpm {
    folder: tempfile::TempDir,
    process: Child,
}

impl Swtpm {
    /// A new one, certified by the authority in this folder.
    fn new(maker: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        let at = folder.path().display().to_string();
        std::fs::create_dir(folder.path().join("state")).unwrap();
        let maker = maker.display();
        write(
            "localca.conf",
            format!(
                "statedir = {maker}\nsigningkey = {maker}/signkey.pem\nissuercert = {maker}/issuercert.pem\ncertserial = {maker}/certserial\n"
            ),
        );
        write("localca.options", "--platform-manufacturer Livery\n--platform-version 1\n--platform-model Test\n".into());
        write(
            "setup.conf",
            format!(
                "create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = {at}/localca.conf\ncreate_certs_tool_options = {at}/localca.options\n"
            ),
        );
        let made = Command::new("swtpm_setup")
            .args(["--tpm2", "--create-ek-cert", "--lock-nvram", "--pcr-banks", "sha256", "--tpmstate"])
            .arg(folder.path().join("state"))
            .arg("--config")
            .arg(folder.path().join("setup.conf"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let process = Self::start(folder.path());
        Self { folder, process }
    }

    fn start(folder: &Path) -> Child {
        let _ = std::fs::remove_file(folder.join("socket"));
        Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate"])
            .arg(format!("dir={}", folder.join("state").display()))
            .arg("--server")
            .arg(format!("type=unixio,path={}", folder.join("socket").display()))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}", folder.join("control").display()))
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Power off, without a word to the TPM, and on.
    fn power_cycle(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = Self::start(self.folder.path());
    }

    fn tpm(&self) -> Tpm<UnixStream> {
        let began = Instant::now();
        loop {
            match UnixStream::connect(self.folder.path().join("socket")) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                    return Tpm::over(stream);
                }
                Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A maker's folder, and what a station trusts of it.
fn maker() -> (tempfile::TempDir, impl Fn(&tempfile::TempDir) -> Makers) {
    let trust = |maker: &tempfile::TempDir| {
        let site = tempfile::tempdir().unwrap();
        for name in ["issuercert.pem", "swtpm-localca-rootca-cert.pem"] {
            std::fs::copy(maker.path().join(name), site.path().join(name)).unwrap();
        }
        Makers::read(site.path()).unwrap()
    };
    (tempfile::tempdir().unwrap(), trust)
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[test]
fn a_tpm_of_a_known_maker_opens_its_credential_and_its_quotes_hold() {
    let (folder, trust) = maker();
    let mut swtpm = Swtpm::new(folder.path());
    let mut tpm = swtpm.tpm();
    let identity = tpm.identity().unwrap();
    assert_eq!(tpm.identity().unwrap(), identity, "the same keys again");
    let (ek, ak) = (Public::endorsement_key(&identity.ek).unwrap(), Public::attestation_key(&identity.ak).unwrap());
    let makers = trust(&folder);
    let certificate = identity.certificate.as_deref().unwrap();
    assert_eq!(makers.endorse(&ek, Some(certificate), &identity.between, now()).unwrap(), id(&ek));

    let (sent, secret) = credential::make(&ek, &ak).unwrap();
    assert_eq!(tpm.activate(&sent.blob, &sent.seed).unwrap(), secret);

    let extra = Digest::of(b"a question");
    let quoted = tpm.quote(&extra).unwrap();
    let found = quote::check(&ak, &quoted.message, &quoted.signature, &extra).unwrap();
    assert_eq!(found.pcrs, digest_of(&tpm.pcrs().unwrap()));
    let later = tpm.quote(&extra).unwrap();
    let later = quote::check(&ak, &later.message, &later.signature, &extra).unwrap();
    assert!(found.clock.goes_on(&later.clock));

    // A quote for another question, of another key, or with a changed byte, is none.
    assert_eq!(quote::check(&ak, &quoted.message, &quoted.signature, &Digest::of(b"another")).unwrap_err().exit().code(), 4);
    for at in [0, 20, 60, quoted.message.len() - 1] {
        let mut changed = quoted.message.clone();
        changed[at] ^= 1;
        assert_eq!(quote::check(&ak, &changed, &quoted.signature, &extra).unwrap_err().exit().code(), 4, "byte {at}");
    }
    // After a power cycle it is another boot, by the same keys.
    drop(tpm);
    swtpm.power_cycle();
    let mut tpm = swtpm.tpm();
    assert_eq!(tpm.identity().unwrap(), identity);
    let again = tpm.quote(&extra).unwrap();
    let again = livery_contract::tpm::quote::Quote::parse(&again.message).unwrap();
    assert!(!found.clock.goes_on(&again.clock), "{:?} {:?}", found.clock, again.clock);
}

#[test]
fn an_endorsement_key_on_p256_opens_a_credential_too() {
    let (folder, _) = maker();
    let swtpm = Swtpm::new(folder.path());
    let mut tpm = swtpm.tpm();
    let (ek, ak) = (tpm.ek(&template::P256).unwrap().area, tpm.ak().unwrap().area);
    let (ek, ak) = (Public::endorsement_key(&ek).unwrap(), Public::attestation_key(&ak).unwrap());
    let (sent, secret) = credential::make(&ek, &ak).unwrap();
    assert_eq!(tpm.activate(&sent.blob, &sent.seed).unwrap(), secret);
}

#[test]
fn an_attestation_key_by_rsa_quotes_too() {
    let (folder, _) = maker();
    let swtpm = Swtpm::new(folder.path());
    let mut tpm = swtpm.tpm();
    tpm.ak = Some(tpm.primary(&template::ak_rsa()).unwrap());
    let extra = Digest::of(b"a question");
    let quoted = tpm.quote(&extra).unwrap();
    let ak = Public::attestation_key(&tpm.ak().unwrap().area).unwrap();
    quote::check(&ak, &quoted.message, &quoted.signature, &extra).unwrap();
}

#[test]
fn another_tpm_opens_nothing_and_another_maker_is_not_trusted() {
    let (ours, trust) = maker();
    let (theirs, _) = maker();
    let (one, other) = (Swtpm::new(ours.path()), Swtpm::new(theirs.path()));
    let (mut tpm, mut foreign) = (one.tpm(), other.tpm());
    let (identity, stranger) = (tpm.identity().unwrap(), foreign.identity().unwrap());
    let (ek, ak) = (Public::endorsement_key(&identity.ek).unwrap(), Public::attestation_key(&identity.ak).unwrap());
    let foreign_ek = Public::endorsement_key(&stranger.ek).unwrap();
    let makers = trust(&ours);
    let refuses = |key: &Public, certificate: Option<&[u8]>, words: &str| {
        let fault = makers.endorse(key, certificate, &[], now()).unwrap_err();
        assert_eq!(fault.exit().code(), 4);
        assert!(fault.render().contains(words), "{words}: {}", fault.render());
    };
    refuses(&foreign_ek, stranger.certificate.as_deref(), "no authority of the makers' folder has signed it");
    refuses(&foreign_ek, identity.certificate.as_deref(), "for another key");
    refuses(&ek, None, "carries no certificate");
    refuses(&ek, Some(&std::fs::read(ours.path().join("issuercert.pem")).unwrap()), "is none");
    let mut forged = identity.certificate.clone().unwrap();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    refuses(&ek, Some(&forged), "has signed it");

    // A credential for one TPM is not opened by another, nor for an attestation key that is not on it.
    let (sent, _) = credential::make(&ek, &ak).unwrap();
    assert_eq!(foreign.activate(&sent.blob, &sent.seed).unwrap_err().exit().code(), 6);
    let foreign_ak = Public::attestation_key(&stranger.ak).unwrap();
    let (sent, _) = credential::make(&ek, &foreign_ak).unwrap();
    assert_eq!(tpm.activate(&sent.blob, &sent.seed).unwrap_err().exit().code(), 6);
    // Nothing of a failed try stays in the TPM: it has room for three sessions and three objects.
    for _ in 0..6 {
        assert!(tpm.activate(&sent.blob, &sent.seed).is_err());
    }
    let (sent, secret) = credential::make(&ek, &ak).unwrap();
    assert_eq!(tpm.activate(&sent.blob, &sent.seed).unwrap(), secret);
}

#[test]
fn a_fetched_certificate_and_a_list_of_single_tpms_count() {
    let (folder, _) = maker();
    let swtpm = Swtpm::new(folder.path());
    let identity = swtpm.tpm().identity().unwrap();
    let ek = Public::endorsement_key(&identity.ek).unwrap();
    let site = tempfile::tempdir().unwrap();
    std::fs::copy(folder.path().join("issuercert.pem"), site.path().join("maker.PEM")).unwrap();
    std::fs::create_dir(site.path().join("ek")).unwrap();
    std::fs::write(site.path().join("ek/one.der"), identity.certificate.unwrap()).unwrap();
    let endorse = || Makers::read(site.path()).unwrap().endorse(&ek, None, &[], now());
    assert_eq!(endorse().unwrap(), id(&ek));
    let list = site.path().join("ek/allowed.txt");
    std::fs::write(&list, format!("# of the first delivery\n{}  WT-0001\n", Digest::of(b"another"))).unwrap();
    assert!(endorse().unwrap_err().to_string().contains("not in the list"));
    std::fs::write(&list, format!("{} # WT-0002\n", id(&ek))).unwrap();
    endorse().unwrap();
    std::fs::write(&list, "WT-0001\n").unwrap();
    assert!(Makers::read(site.path()).unwrap_err().render().contains("allowed.txt, line 1"));
    std::fs::write(site.path().join("broken.crt"), "not a certificate").unwrap();
    assert_eq!(Makers::read(site.path()).unwrap_err().exit().code(), 3);
    assert_eq!(Makers::read(&site.path().join("nowhere")).unwrap_err().exit().code(), 3);
}
