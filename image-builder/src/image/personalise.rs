//! `livery personalise`: one personal image a row of the roster, over a master that is not touched.
//!
//! Each costs one small chunk and one manifest. All rows are checked before the first is made, all are signed at once: a
//! killed run leaves the store as it was.

use std::{fs, io::Write as _, path::Path};

use livery_contract::{
    Digest, Fault, Reference, Result,
    manifest::{BLOCK, Layer, Manifest, Personal, Role},
    roster::{self, Employee, Format, RowError},
};
use rayon::prelude::*;
use uuid::Uuid;

use super::{erofs, identity, reserve};
use crate::{
    progress::Progress,
    publish::{
        packer::{self, Known},
        repository::Publisher,
        restricted,
    },
};

/// So many are made at once, by all processors: a thousandth of a large roster, for progress that moves.
const BATCH: usize = 64;

/// Derives the layers' file system UUIDs (RFC 9562, version 5).
const NAMESPACE: Uuid = Uuid::from_u128(0x6c69_7665_7279_5f70_8572_736f_6e61_6c31);

/// One personal image.
#[derive(Debug, serde::Serialize)]
pub struct Personalised {
    /// Its reference.
    pub image: Reference,
    /// Digest of its manifest.
    pub manifest: Digest,
    /// Whether it was not in the store before.
    pub fresh: bool,
}

/// Makes the personal images of a roster.
///
/// # Errors
/// Exit 3 where a row does not fit the master or the master takes no personal layer, 4 where the store is signed by other
/// keys, 5 where it can't be written.
pub async fn personalise(
    master: &Reference,
    roster: &Path,
    store: &Path,
    keys: &Path,
    progress: &Progress,
) -> Result<Vec<Personalised>> {
    if let Some(order) = &master.order {
        return Err(Fault::usage(format!("{master} is the personal image of order {order}"))
            .fix(format!("give the master: {}", master.master())));
    }
    let employees = read(roster)?;
    let mut publisher = Publisher::open(store, keys).await?;
    let absent = || Fault::refused(format!("the store has no image {master}")).at(store.display()).fix("build or import it first");
    let (manifest, digest) = publisher.current().ok_or_else(absent)?.manifest(master).await?;
    let partition = manifest.partition(Role::Identity);
    let (true, Some(accepts)) = (partition.is_some() || manifest.personal_file.is_some(), &manifest.accepts) else {
        return Err(Fault::refused(format!(
            "{master} takes no personal layer: it has neither an identity partition nor a file for it"
        ))
        .at(store.display())
        .fix("for an imported image: name partition and file in a profile, livery import --profile"));
    };
    restricted::check(store, &manifest.restricted)?;
    check(&employees, &accepts.locales, roster)?;

    let mut bar = progress.pieces("personalise", employees.len() as u64);
    let mut made = Vec::with_capacity(employees.len());
    for batch in employees.chunks(BATCH) {
        let personal: Vec<Manifest> =
            batch.par_iter().map(|employee| personal(&publisher, &manifest, digest, employee)).collect::<Result<_>>()?;
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

/// Reads a roster, all bad rows named at once.
fn read(path: &Path) -> Result<Vec<Employee>> {
    let failed = |error| Fault::refused("the roster can't be read").at(path.display()).cause(error);
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > roster::MAX_BYTES as u64 {
        return Err(
            Fault::refused(format!("a roster of {length} bytes is over the limit of {}", roster::MAX_BYTES)).at(path.display())
        );
    }
    let bytes = fs::read(path).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        Fault::refused(format!("the roster is not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
            .at(path.display())
            .fix("save it as UTF-8")
    })?;
    roster::parse(&text, Format::of_path(path)).map_err(|errors| roster::fault(&errors, &path.display().to_string()))
}

/// Whether the master has what each employee needs.
fn check(employees: &[Employee], locales: &[String], roster: &Path) -> Result<()> {
    let errors: Vec<RowError> = employees
        .iter()
        .enumerate()
        .filter(|(_, employee)| !locales.contains(&employee.locale))
        .map(|(index, employee)| RowError {
            row: index + 1,
            line: None,
            column: "locale".into(),
            message: format!(
                "the master has no {}, it has {}; add it to `locale.available` of the profile",
                employee.locale,
                locales.join(", ")
            ),
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(roster::fault(&errors, &roster.display().to_string())) }
}

/// One employee's manifest; its layer goes into the store.
fn personal(publisher: &Publisher, master: &Manifest, digest: Digest, employee: &Employee) -> Result<Manifest> {
    if let Some(place) = &master.personal_file {
        let bytes = reserve::content(employee, place)?;
        return layered(publisher, master, digest, employee, &bytes, (place.offset, place.length));
    }
    let partition = master.partition(Role::Identity).ok_or_else(|| Fault::internal("a master lost its identity partition"))?;
    let uuid = Uuid::new_v5(&NAMESPACE, format!("{digest}/{}", employee.order).as_bytes());
    let image = erofs::make(&identity::files(employee), uuid, master.created.as_second())?;
    let length = image.len() as u64;
    if length > partition.length {
        return Err(Fault::refused(format!(
            "the personal layer of order {} has {length} bytes, the identity partition {}",
            employee.order, partition.length
        ))
        .fix("raise `image.identity-size` in the profile and build the master again"));
    }
    layered(publisher, master, digest, employee, &image, (partition.offset, partition.length))
}

/// The master with one layer more, over this range of the disk: these bytes, and zeros behind them.
fn layered(
    publisher: &Publisher,
    master: &Manifest,
    digest: Digest,
    employee: &Employee,
    bytes: &[u8],
    (offset, length): (u64, u64),
) -> Result<Manifest> {
    let mut raw = tempfile::tempfile().map_err(|error| Fault::source("no temporary file can be made").cause(error))?;
    raw.write_all(bytes)
        .and_then(|()| raw.set_len(length.next_multiple_of(BLOCK)))
        .map_err(|error| Fault::source("no temporary file can be written").cause(error))?;
    let end = bytes.len() as u64;
    let (map, _) = packer::pack(publisher.blobs(), &raw, (0, length), &[end], &Known::default(), 19, &mut |_| {})?;
    let chunk_map = publisher.blobs().put(&map.encode())?;
    let mut personal = master.clone();
    personal.personal = Some(Personal { order: employee.order.clone(), hostname: employee.hostname.clone(), master: digest });
    personal.layers.push(Layer { offset, length, chunk_map });
    Ok(personal)
}
