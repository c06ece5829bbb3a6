//! The device's end: its TPM, by the dozen raw commands that admission needs (TCG, Trusted Platform Module Library, Part 3).
//!
//! In: `/dev/tpmrm0`, or anything else that carries commands, such as swtpm's socket. Out: keys, an opened credential, quotes. No library:
//! those that there are need C on the medium, or know only one kind of key; and tpm2-tools would bring 29 packages to it. Blocking; not for
//! an async task. Fails with exit 6, naming the command and the TPM's own code.

mod command;
mod template;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

use livery_contract::{
    Digest, Fault, Result,
    tpm::{
        public::Public,
        quote::{PCRS, SELECTION},
    },
};

use self::command::{Auth, Channel, Code};

/// The kernel's resource manager: each that opens it has the TPM for itself (tpm(4)).
const DEVICE: &str = "/dev/tpmrm0";
/// The endorsement hierarchy (`TPM_RH_ENDORSEMENT`). In the owner's, a quote's counters would be obfuscated.
const ENDORSEMENT: u32 = 0x4000_000b;

/// What a device shows of its TPM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The maker's certificate of the endorsement key, in DER; `None` where the TPM carries none.
    pub certificate: Option<Vec<u8>>,
    /// Certificates of authorities that the TPM carries along.
    pub between: Vec<Vec<u8>>,
    /// The endorsement key's public area (`TPMT_PUBLIC`).
    pub ek: Vec<u8>,
    /// The attestation key's.
    pub ak: Vec<u8>,
}

/// A quote as the TPM made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// `TPMS_ATTEST`.
    pub message: Vec<u8>,
    /// `TPMT_SIGNATURE` over it.
    pub signature: Vec<u8>,
}

/// An object in the TPM.
#[derive(Clone, Debug)]
struct Loaded {
    handle: u32,
    /// `TPMT_PUBLIC`.
    area: Vec<u8>,
    /// Whether it is to be flushed: a persistent one stays.
    transient: bool,
}

/// A TPM, with the keys that are loaded while this lives.
#[derive(Debug)]
pub struct Tpm<C: Read + Write> {
    channel: Channel<C>,
    ek: Option<Loaded>,
    ak: Option<Loaded>,
}

impl Tpm<File> {
    /// This machine's; `None` where it has no TPM 2.0.
    ///
    /// # Errors
    /// Exit 6 where there is one that cannot be opened.
    pub fn open() -> Result<Option<Self>> {
        if !Path::new(DEVICE).exists() {
            return Ok(None);
        }
        let file = File::options().read(true).write(true).open(DEVICE);
        file.map(|file| Some(Self::over(file))).map_err(|error| Fault::device("the TPM cannot be opened").at(DEVICE).cause(error))
    }
}

impl<C: Read + Write> Tpm<C> {
    /// One that is reached so.
    pub fn over(channel: C) -> Self {
        Self { channel: Channel(channel), ek: None, ak: None }
    }

    /// Both keys, and what the maker says of the first. Making an RSA key takes some seconds on a chip.
    ///
    /// # Errors
    /// As the module says.
    pub fn identity(&mut self) -> Result<Identity> {
        let kind = match self.nv(template::RSA.certificate)? {
            Some(certificate) => Some((&template::RSA, certificate)),
            None => self.nv(template::P256.certificate)?.map(|certificate| (&template::P256, certificate)),
        };
        let (kind, certificate) = kind.map_or((&template::RSA, None), |(kind, certificate)| (kind, Some(certificate)));
        let mut between = Vec::new();
        for index in template::BETWEEN {
            match self.nv(index)? {
                Some(one) => between.push(one),
                None => break,
            }
        }
        let ek = self.ek(kind)?.area;
        let ak = self.ak()?.area;
        Ok(Identity { certificate, between, ek, ak })
    }

    /// The secret of a credential, which only this TPM can open (`TPM2_ActivateCredential`). After [`identity`](Self::identity).
    ///
    /// # Errors
    /// As the module says; a credential for another TPM is refused by the TPM.
    pub fn activate(&mut self, blob: &[u8], seed: &[u8]) -> Result<Vec<u8>> {
        let (ek, ak) = (self.ek(&template::RSA)?.handle, self.ak()?.handle);
        // The endorsement key may only be used by who has the endorsement hierarchy's password, which is empty: its policy says so.
        let session = self.channel.start_policy()?;
        let parameters = [command::sized(blob)?, command::sized(seed)?].concat();
        let opened = self.channel.policy_secret(ENDORSEMENT, session).and_then(|()| {
            self.channel.call(Code::ActivateCredential, &[ak, ek], &[Auth::Password, Auth::Session(session)], &parameters)
        });
        let answer = match opened {
            Ok(answer) => answer,
            Err(fault) => {
                // Used up by success alone.
                let _ = self.channel.flush(session);
                return Err(fault);
            }
        };
        let mut reader = command::Answer::new(Code::ActivateCredential, &answer);
        Ok(reader.sized()?.to_vec())
    }

    /// A quote over PCRs 7, 11, 12 and 13, and over `extra`.
    ///
    /// # Errors
    /// As the module says.
    pub fn quote(&mut self, extra: &Digest) -> Result<Quoted> {
        let ak = self.ak()?.handle;
        // The key's own scheme.
        let parameters = [&command::sized(extra.as_bytes())?[..], &[0, 0x10], &selection()].concat();
        let answer = self.channel.call(Code::Quote, &[ak], &[Auth::Password], &parameters)?;
        let mut reader = command::Answer::new(Code::Quote, &answer);
        let message = reader.sized()?.to_vec();
        Ok(Quoted { message, signature: reader.rest().to_vec() })
    }

    /// The values of PCRs 7, 11, 12 and 13 by SHA-256.
    ///
    /// # Errors
    /// As the module says; where the TPM has no such bank.
    pub fn pcrs(&mut self) -> Result<[Digest; 4]> {
        let answer = self.channel.call(Code::PcrRead, &[], &[], &selection())?;
        let mut reader = command::Answer::new(Code::PcrRead, &answer);
        reader.take(4)?; // how often any PCR has changed
        let (selected, values) = (reader.take(selection().len())?, reader.u32()?);
        if selected != selection() || values as usize != PCRS.len() {
            return Err(Fault::device("the TPM has no PCRs by SHA-256")
                .at(DEVICE)
                .fix("enable the SHA-256 bank in the firmware's setup"));
        }
        let mut all = [Digest::from_bytes([0; 32]); 4];
        for value in &mut all {
            let bytes = reader.sized()?.try_into().map_err(|_| Fault::device("a PCR by SHA-256 has another length").at(DEVICE))?;
            *value = Digest::from_bytes(bytes);
        }
        Ok(all)
    }

    fn ek(&mut self, kind: &template::Ek) -> Result<Loaded> {
        if let Some(loaded) = &self.ek {
            return Ok(loaded.clone());
        }
        // Most makers leave it in the TPM, where it costs nothing.
        let persistent = self.channel.read_public(kind.persistent)?.filter(|area| Public::endorsement_key(area).is_ok());
        let loaded = match persistent {
            Some(area) => Loaded { handle: kind.persistent, area, transient: false },
            None => {
                let template = self.nv(kind.template)?.unwrap_or_else(|| kind.default_template());
                self.primary(&template)?
            }
        };
        self.ek = Some(loaded.clone());
        Ok(loaded)
    }

    fn ak(&mut self) -> Result<Loaded> {
        if let Some(loaded) = &self.ak {
            return Ok(loaded.clone());
        }
        // The same each time: a primary key derives from the hierarchy's seed and its template.
        let loaded = match self.primary(&template::ak_p256()) {
            Ok(loaded) => loaded,
            // An old chip without elliptic curves.
            Err(_) => self.primary(&template::ak_rsa())?,
        };
        self.ak = Some(loaded.clone());
        Ok(loaded)
    }

    /// Makes a primary key of the endorsement hierarchy.
    fn primary(&mut self, template: &[u8]) -> Result<Loaded> {
        // No secret of its own; the template; nothing from outside; no PCRs in the creation data.
        let parameters = [&[0, 4, 0, 0, 0, 0][..], &command::sized(template)?, &[0, 0], &[0, 0, 0, 0]].concat();
        let (handle, answer) = self.channel.create(Code::CreatePrimary, &[ENDORSEMENT], &[Auth::Password], &parameters)?;
        let area = command::Answer::new(Code::CreatePrimary, &answer).sized()?.to_vec();
        Ok(Loaded { handle, area, transient: true })
    }

    /// What an NV index holds; `None` where it is not there.
    fn nv(&mut self, index: u32) -> Result<Option<Vec<u8>>> {
        let Some(length) = self.channel.nv_length(index)? else { return Ok(None) };
        let mut bytes = Vec::new();
        while bytes.len() < usize::from(length) {
            let offset = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            // What every TPM gives at once.
            let size = (length - offset).min(512);
            let part = self.channel.nv_read(index, size, offset)?;
            if part.is_empty() {
                return Err(Fault::device(format!("the TPM's NV index {index:#x} ends too soon")).at(DEVICE));
            }
            bytes.extend(part);
        }
        Ok(Some(bytes))
    }
}

impl<C: Read + Write> Drop for Tpm<C> {
    /// Without a resource manager, a TPM has room for three objects.
    fn drop(&mut self) {
        for loaded in [self.ek.take(), self.ak.take()].into_iter().flatten().filter(|loaded| loaded.transient) {
            let _ = self.channel.flush(loaded.handle);
        }
    }
}

/// `TPML_PCR_SELECTION`: one, by SHA-256, of three bytes.
fn selection() -> [u8; 10] {
    [0, 0, 0, 1, 0, 0x0b, 3, SELECTION[0], SELECTION[1], SELECTION[2]]
}
