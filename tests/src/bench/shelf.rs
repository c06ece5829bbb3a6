//! A store with keys of the benchmark's own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use livery_contract::{Digest, Fault, Reference, Result, chunkmap::ChunkMap, digest::Blob, manifest::Manifest};

use super::measured::run;
use crate::programs::Program;

/// Importing the largest image.
const LONG: Duration = Duration::from_secs(3600);

/// See the module.
#[derive(Clone, Debug)]
pub struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// In this folder; keys are made where absent, signatures renewed where they may have run out.
    ///
    /// # Errors
    /// Where `livery` fails.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|error| Fault::refused("no folder").cause(error).at(folder.display()))?;
        let shelf = Self { folder: folder.to_owned() };
        let (store, keys) = (text(&shelf.store()), text(&shelf.keys()));
        if !shelf.trust().exists() {
            livery(&["keygen", "--out", &keys])?;
        }
        if shelf.store().join("metadata").exists() {
            livery(&["refresh", "--store", &store, "--keys", &keys])?;
        }
        Ok(shelf)
    }

    /// As it is, with nothing looked at or renewed.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The store.
    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// Its keys.
    pub fn keys(&self) -> PathBuf {
        self.folder.join("keys")
    }

    /// What whoever reads it trusts.
    pub fn trust(&self) -> PathBuf {
        self.keys().join("root.json")
    }

    /// Takes a raw image in.
    ///
    /// # Errors
    /// Where `livery` fails.
    pub fn import(&self, raw: &Path, name: &str, version: &str) -> Result<Reference> {
        let (raw, store, keys) = (text(raw), text(&self.store()), text(&self.keys()));
        let said = livery(&["import", &raw, "--name", name, "--version", version, "--store", &store, "--keys", &keys])?;
        said.lines().last().unwrap_or_default().parse()
    }

    /// Builds a profile into it.
    ///
    /// # Errors
    /// Where `livery` fails.
    pub fn build(&self, profile: &Path, cache: &Path) -> Result<Reference> {
        let (profile, store, keys, cache) = (text(profile), text(&self.store()), text(&self.keys()), text(cache));
        let said = livery(&["build", &profile, "--store", &store, "--keys", &keys, "--cache", &cache])?;
        said.lines().last().unwrap_or_default().parse()
    }

    /// A master's manifest, and how many bytes it and its chunk maps have: all that is fetched before the first data.
    /// Read straight from the folder, which is ours: whoever writes a device asks for proof first.
    ///
    /// # Errors
    /// Where it is not there.
    pub fn manifest(&self, reference: &Reference) -> Result<(Manifest, u64)> {
        let folder = self.store().join("targets");
        let broken = |error| Fault::source("the store can't be read").cause(error).at(folder.display());
        let ending = format!(".{reference}.json");
        for entry in fs::read_dir(&folder).map_err(broken)? {
            let path = entry.map_err(broken)?.path();
            if path.to_string_lossy().ends_with(&ending) {
                let bytes = fs::read(&path).map_err(broken)?;
                let manifest = Manifest::parse(&bytes)?;
                let maps: u64 = manifest.layers.iter().map(|layer| layer.chunk_map.length).sum();
                return Ok((manifest, bytes.len() as u64 + maps));
            }
        }
        Err(Fault::source(format!("the store has no {reference}")).at(folder.display()))
    }

    /// The chunk maps of a manifest, one for each layer.
    ///
    /// # Errors
    /// Where one is not there, or none.
    pub fn maps(&self, manifest: &Manifest) -> Result<Vec<ChunkMap>> {
        let maps = manifest.layers.iter().map(|layer| {
            let path = self.blob(&layer.chunk_map.digest);
            let bytes = fs::read(&path).map_err(|error| Fault::source("no chunk map").cause(error).at(path.display()))?;
            ChunkMap::decode(&bytes)
        });
        maps.collect()
    }

    /// The packs of a master.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub fn packs(&self, reference: &Reference) -> Result<Vec<Blob>> {
        let maps = self.maps(&self.manifest(reference)?.0)?;
        Ok(maps.into_iter().flat_map(|map| map.packs).collect())
    }

    /// Where a blob lies.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        let digest = digest.to_string();
        self.store().join("blobs/sha256").join(&digest[..2]).join(&digest)
    }

    /// A command that writes an image of the store with the agent, and prints the record as JSON.
    ///
    /// # Errors
    /// Where the agent is not built.
    pub fn write(&self, reference: &Reference, disk: &Path) -> Result<Command> {
        self.write_from(reference, &text(&self.store()), disk)
    }

    /// The same, from elsewhere.
    ///
    /// # Errors
    /// Where the agent is not built.
    pub fn write_from(&self, reference: &Reference, from: &str, disk: &Path) -> Result<Command> {
        let mut command = Command::new(Program::Agent.path()?);
        command.args(["write", &reference.to_string(), "--from", from, "--trust"]).arg(self.trust()).arg("--disk").arg(disk);
        // Never an entry in the boot menu of the machine that measures.
        command.args(["--no-boot-entry", "--json"]);
        Ok(command)
    }
}

/// Runs `livery`; what it printed.
fn livery(arguments: &[&str]) -> Result<String> {
    run(Command::new(Program::Livery.path()?).args(arguments), LONG).map(|(done, _)| done.stdout)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
