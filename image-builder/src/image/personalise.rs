//! `livery personalise`: one personal image a row of the roster, over a master that is not touched.
//!
//! Each costs one small chunk and one manifest. All rows are checked before the first is made, all are signed at once: a
//! killed run leaves the store as it was.

use std::{fs, os::unix::fs::FileExt as _, path::Path};

use livery_contract::{
    Digest, Fault, Reference, Result,
    cut::{BLOCK_BYTES, is_zero},
    digest::Blob,
    manifest::{Accepts, Identity, Layer, Manifest, Personal, Role},
    roster::{self, Employee, RowError},
};
use rayon::prelude::*;
use uuid::Uuid;

use super::{account, erofs, identity, reserve};
use crate::{
    personal::{ddi, keys},
    progress::Progress,
    publish::{
        packer::{self, Known},
        repository::Publisher,
        restricted, sections,
    },
    secure_boot::signer::Signer,
};

/// So many are made at once, by all processors: a thousandth of a large roster, for progress that moves.
const BATCH: usize = 64;

/// Derives the layers' file system UUIDs (RFC 9562, version 5).
const NAMESPACE: Uuid = Uuid::from_u128(0x6c69_7665_7279_5f70_8572_736f_6e61_6c31);

/// One personal image.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Personalised {
    /// Its reference.
    pub(crate) image: Reference,
    /// Digest of its manifest.
    pub(crate) manifest: Digest,
    /// Whether it was not in the store before.
    pub(crate) fresh: bool,
}

/// Makes the personal images of a roster.
///
/// # Errors
/// Exit 3 where a row does not fit the master or the master takes no personal layer, 4 where the store is signed by other
/// keys, 5 where it can't be written.
pub(crate) async fn personalise(
    master: &Reference,
    path: &Path,
    store: &Path,
    keys_folder: &Path,
    progress: &Progress,
) -> Result<Vec<Personalised>> {
    if let Some(order) = &master.order {
        return Err(Fault::usage(format!("{master} is the personal image of order {order}"))
            .fix(format!("give the master: {}", master.master())));
    }
    let (_, employees) = roster::read(path, fs::File::open(path))?;
    let mut publisher = Publisher::open(store, keys_folder).await?;
    let absent = || Fault::refused(format!("the store has no image {master}")).at(store.display()).fix("build or import it first");
    let (manifest, digest) = publisher.current().ok_or_else(absent)?.manifest(master).await?;
    let partition = manifest.partition(Role::Identity);
    let (true, Some(accepts)) = (partition.is_some() || manifest.personal_file.is_some(), &manifest.accepts) else {
        return Err(Fault::refused(format!(
            "{master} cannot take a personal layer: it has neither an identity partition nor a file for it"
        ))
        .at(store.display())
        .fix("for an imported image, name the partition and the file in a profile: livery import --profile"));
    };
    restricted::check(store, &manifest.restricted)?;
    if partition.is_some() && manifest.identity.is_none() {
        return Err(Fault::refused(format!("{master} accepts personal layers without checking their signature"))
            .at(store.display())
            .fix("build it again: this release signs personal layers, and devices check the signature"));
    }
    check(&employees, accepts, path)?;
    let signer = partition.map(|_| keys::signer(keys_folder)).transpose()?;

    let mut bar = progress.pieces("personalise", employees.len() as u64);
    let mut made = Vec::with_capacity(employees.len());
    for batch in employees.chunks(BATCH) {
        let over = Over { publisher: &publisher, master: &manifest, digest, signer: signer.as_ref() };
        let personal: Vec<Manifest> = batch.par_iter().map(|employee| over.personal(employee)).collect::<Result<_>>()?;
        for personal in personal {
            let added = publisher.add(&personal)?;
            made.push(Personalised { image: personal.reference(), manifest: added.digest, fresh: added.fresh });
        }
        bar.at(made.len() as u64);
    }
    if made.iter().any(|one| one.fresh) {
        publisher.commit().await?;
    }
    bar.done();
    Ok(made)
}

/// Whether the master has what each employee needs, and a laptop's employee what the laptop needs.
fn check(employees: &[Employee], accepts: &Accepts, path: &Path) -> Result<()> {
    let mut errors = Vec::new();
    for (index, employee) in employees.iter().enumerate() {
        let mut wrong =
            |column: &str, message: String| errors.push(RowError { row: index + 1, line: None, column: column.into(), message });
        if !accepts.locales.contains(&employee.locale) {
            let (locale, locales) = (&employee.locale, accepts.locales.join(", "));
            wrong("locale", format!("the master has no {locale}, it has {locales}; add it to `locale.available` of the profile"));
        }
        if !accepts.accounts {
            continue;
        }
        if account::name(&employee.user).is_none() {
            wrong(
                "user",
                format!(
                    "{:?} can't become an account on a laptop: the name must begin with a letter and must not be a system account",
                    employee.user
                ),
            );
        }
        if employee.first_password.is_none() {
            let path = path.display();
            wrong(
                "first-password",
                format!("nobody could sign in to this laptop; `livery codes {path} --out codes.csv` draws the missing codes"),
            );
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(roster::fault(&errors, &path.display().to_string())) }
}

/// What each personal image is made from besides its row.
struct Over<'a> {
    publisher: &'a Publisher,
    master: &'a Manifest,
    digest: Digest,
    /// Signs layers; a file in an imported image needs none.
    signer: Option<&'a Signer>,
}

impl Over<'_> {
    /// One employee's manifest; its layer goes into the store.
    fn personal(&self, employee: &Employee) -> Result<Manifest> {
        let Self { master, digest, signer, .. } = self;
        if let Some(place) = &master.personal_file {
            return self.layered(employee, &reserve::content(employee, place)?, (place.offset, place.length));
        }
        let (Some(partition), Some(signer)) = (master.partition(Role::Identity), signer) else {
            return Err(Fault::internal("a master lost its identity partition"));
        };
        let uuid = Uuid::new_v5(&NAMESPACE, format!("{digest}/{}", employee.order).as_bytes());
        let mut files = identity::files(employee);
        if master.accepts.as_ref().is_some_and(|accepts| accepts.accounts) {
            files.extend(account::files(employee, master.created.as_second()));
        }
        let file_system = erofs::make(&files, uuid, master.created.as_second())?;
        let layer = ddi::make(&file_system, partition.length, uuid, signer)
            .map_err(|fault| fault.at(format!("order {}", employee.order)))?;
        let mut personal = self.layered(employee, &layer.bytes, (partition.offset, partition.length))?;
        personal.identity = master.identity.map(|identity| Identity { root_hash: layer.root_hash, ..identity });
        Ok(personal)
    }

    /// The master with one layer more, over this range of the disk: these bytes, and zeros behind them.
    fn layered(&self, employee: &Employee, bytes: &[u8], (offset, length): (u64, u64)) -> Result<Manifest> {
        let raw = tempfile::tempfile().map_err(|error| Fault::source("no temporary file can be made").cause(error))?;
        write_sparse(&raw, bytes, length).map_err(|error| Fault::source("no temporary file can be written").cause(error))?;
        let blobs = self.publisher.blobs();
        let (mut map, _) = packer::pack(blobs, &raw, (0, length), (&[], &[]), &Known::default(), 19, &mut |_| {})?;
        let mut layer = Layer { offset, length, chunk_map: Blob { digest: Digest::of(b""), length: 0 } };
        map.sections = sections::digests(&raw, self.master, &layer, &map)?;
        layer.chunk_map = blobs.put(&map.encode())?;
        let mut personal = self.master.clone();
        let master = self.digest;
        personal.personal = Some(Personal { order: employee.order.clone(), hostname: employee.hostname.clone(), master });
        personal.layers.push(layer);
        Ok(personal)
    }
}

/// Writes bytes to an empty file that shall have `length`, zeros as holes: nearly all of a layer's partition is zero.
fn write_sparse(file: &fs::File, bytes: &[u8], length: u64) -> std::io::Result<()> {
    for (at, block) in (0..).step_by(BLOCK_BYTES).zip(bytes.chunks(BLOCK_BYTES)) {
        if !is_zero(block) {
            file.write_all_at(block, at)?;
        }
    }
    file.set_len(length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use livery_contract::roster::Format;

    use super::*;

    #[test]
    fn a_laptop_that_nobody_could_sign_in_at_is_refused_and_a_terminal_needs_no_account() {
        let roster = "order,user,name,hostname,locale,keyboard\n\
                      ORD-1,lea.martin,Léa,lt-1,fr_FR.UTF-8,fr\nORD-2,root,Root,lt-2,de_DE.UTF-8,de\n";
        let employees = roster::parse(roster, Format::Csv).unwrap();
        let accepts = |accounts| Accepts { locales: vec!["fr_FR.UTF-8".into()], accounts };
        let said = check(&employees, &accepts(true), Path::new("r.csv")).unwrap_err().render();
        for wrong in
            ["row 1, column first-password", "row 2, column first-password", "row 2, column user", "livery codes r.csv --out"]
        {
            assert!(said.contains(wrong), "{wrong} in {said}");
        }
        let said = check(&employees, &accepts(false), Path::new("r.csv")).unwrap_err().render();
        assert!(said.contains("1 error") && said.contains("row 2, column locale"), "{said}");
    }
}
