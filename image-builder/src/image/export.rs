//! `livery export`: an image back to a disk image, every chunk checked on the way.

use std::{os::unix::fs::FileExt as _, path::Path, process::Command};

use futures::{StreamExt as _, TryStreamExt as _};
use livery_contract::{Fault, Reference, Result, chunkmap::Content};
use livery_store::Store;
use tokio::task::spawn_blocking;

use crate::{inspect::volume::chunk::chunk, progress::Progress, replace::folder_of};

/// Of what kind the file shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// The disk's bytes, zeros as holes.
    Raw,
    /// QEMU's, by `qemu-img`.
    Qcow2,
}

/// How many chunks are fetched and checked at once.
const AT_ONCE: usize = 8;

/// Writes the image to `file`, which must not exist yet: it is made under a temporary name and renamed when complete.
///
/// # Errors
/// Exit 3 where `file` exists or can't be written, 4 where a chunk is not what its digest says, 5 where the store can't
/// be read.
pub(crate) async fn export(store: &Store, reference: &Reference, format: Format, file: &Path, progress: &Progress) -> Result<()> {
    let failed = |what: &str, error: std::io::Error| Fault::refused(what).at(file.display()).cause(error);
    if file.exists() {
        return Err(Fault::refused("the file exists already").at(file.display()).fix("remove it, or give another name"));
    }
    let image = store.image(reference).await?;
    let folder = folder_of(file);
    let raw = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed("the file can't be written", error))?;
    raw.as_file().set_len(image.manifest.size).map_err(|error| failed("the file can't be written", error))?;
    let mut bar = progress.bytes("export", image.manifest.size);
    let mut done = 0;
    let packs = image.composed.packs.clone();
    let mut written = futures::stream::iter(image.composed.extents.clone())
        .map(|extent| {
            let out = raw.as_file().try_clone();
            let packs = &packs;
            async move {
                if let Content::Data { digest, frame } = extent.content {
                    let bytes = chunk(store, packs, extent, digest, frame).await?;
                    let out = out.map_err(|error| failed("the file can't be written", error))?;
                    let writing = spawn_blocking(move || out.write_all_at(&bytes, extent.offset)).await;
                    writing
                        .map_err(|error| Fault::internal("writing stopped").cause(error))?
                        .map_err(|error| failed("writing failed", error))?;
                }
                Ok::<u64, Fault>(extent.length)
            }
        })
        .buffered(AT_ONCE);
    while let Some(length) = written.try_next().await? {
        done += length;
        bar.at(done);
    }
    drop(written);
    bar.done();
    match format {
        Format::Raw => {
            raw.as_file().sync_all().map_err(|error| failed("writing failed", error))?;
            raw.persist_noclobber(file).map_err(|error| failed("the file can't be written", error.error))?;
        }
        Format::Qcow2 => {
            let partial = tempfile::Builder::new()
                .prefix(".livery-")
                .tempfile_in(folder)
                .map_err(|error| failed("the file can't be written", error))?;
            let output = Command::new("qemu-img")
                .args(["convert", "-f", "raw", "-O", "qcow2"])
                .arg(raw.path())
                .arg(partial.path())
                .output()
                .map_err(|error| failed("qemu-img can't be run", error).fix("install Debian's package qemu-utils"))?;
            if !output.status.success() {
                return Err(Fault::refused(format!("qemu-img failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
                    .at(file.display()));
            }
            partial.persist_noclobber(file).map_err(|error| failed("the file can't be written", error.error))?;
        }
    }
    Ok(())
}
