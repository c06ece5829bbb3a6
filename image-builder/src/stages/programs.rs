//! Our own programs that go into images: those that were built beside this one. Read once, so that what is hashed is what is written.
//! Fails where one is not there.

use std::{fs, sync::OnceLock};

use livery_contract::{Digest, Fault, Result};

#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    bytes: Vec<u8>,
    digest: Digest,
}

impl Program {
    /// `livery-desk`: what the screen of a terminal is made by, and what tells the station what took effect.
    ///
    /// # Errors
    /// Exit 2 where it is not there.
    pub(crate) fn desk() -> Result<&'static Self> {
        static PROGRAM: OnceLock<Program> = OnceLock::new();
        Self::built_with_us("livery-desk", &PROGRAM)
    }

    /// `livery-agent`: what gets a newer image.
    ///
    /// # Errors
    /// Exit 2 where it is not there.
    pub(crate) fn agent() -> Result<&'static Self> {
        static PROGRAM: OnceLock<Program> = OnceLock::new();
        Self::built_with_us("livery-agent", &PROGRAM)
    }

    fn built_with_us(name: &'static str, cell: &'static OnceLock<Self>) -> Result<&'static Self> {
        if let Some(program) = cell.get() {
            return Ok(program);
        }
        let us = std::env::current_exe().map_err(|error| Fault::internal("this program can't find its own path").cause(error))?;
        let path = us.with_file_name(name);
        let bytes = fs::read(&path).map_err(|error| {
            Fault::usage(format!("there is no {name} in this program's folder"))
                .at(path.display())
                .cause(error)
                .fix("build it (`cargo build --release --workspace`)")
        })?;
        let digest = Digest::of(&bytes);
        Ok(cell.get_or_init(|| Self { name, bytes, digest }))
    }

    /// Its name, here and in `/usr/bin`.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Its content.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its digest.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }
}
