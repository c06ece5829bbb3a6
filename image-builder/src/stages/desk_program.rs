//! `livery-desk`, which goes into a terminal's image: the one that was built beside this program. Read once, so that what is hashed is
//! what is written. Fails where it is not there.

use std::{fs, sync::OnceLock};

use livery_contract::{Digest, Fault, Result};

/// Its name, here and on the device.
const NAME: &str = "livery-desk";

/// See the module.
#[derive(Debug)]
pub struct Program {
    bytes: Vec<u8>,
    digest: Digest,
}

impl Program {
    /// The one beside this program.
    ///
    /// # Errors
    /// Exit 2 where it is not there.
    pub fn beside_us() -> Result<&'static Self> {
        static PROGRAM: OnceLock<Program> = OnceLock::new();
        if let Some(program) = PROGRAM.get() {
            return Ok(program);
        }
        let us = std::env::current_exe().map_err(|error| Fault::internal("this program does not know where it is").cause(error))?;
        let path = us.with_file_name(NAME);
        let bytes = fs::read(&path).map_err(|error| {
            Fault::usage(format!("there is no {NAME} beside this program"))
                .at(path.display())
                .cause(error)
                .fix("build it (`cargo build --release --workspace`)")
        })?;
        let digest = Digest::of(&bytes);
        Ok(PROGRAM.get_or_init(|| Self { bytes, digest }))
    }

    /// Its content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}
