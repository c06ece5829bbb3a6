//! The same steps by hand: `inventory`, `write`, `verify`.

use std::path::Path;

use livery_contract::{Fault, Reference, Result, record::Record, wire::Phase};
use livery_store::{Access, Location};
use tokio::runtime::Handle;

use super::flash::{self, Stays};
use crate::{
    console::Console,
    image::trust::Trusted,
    inventory,
    target::{
        choose::{Needs, describe},
        claim::Target,
    },
    verify::compare::{Comparison, compare},
    work::{Work, progress::Progress, stop::Stop, threads::blocking},
};

/// Which image, from where, to which disk.
#[derive(Clone, Debug)]
pub(crate) struct Order<'a> {
    pub reference: &'a Reference,
    pub from: &'a Location,
    pub trust: &'a [u8],
    pub access: Access,
    /// Disk or file.
    pub disk: &'a Path,
}

/// Writes, reads back, finishes.
///
/// # Errors
/// The first fault of any step.
pub(crate) async fn write(
    order: &Order<'_>,
    allow_removable: bool,
    stays: Stays,
    console: &Console,
    stop: &Stop,
) -> Result<Record> {
    let work = work(stop);
    let trusted = Trusted::open(order.from, order.trust, order.access.clone(), order.reference, None).await?;
    let target = Target::by_hand(order.disk, Needs::from(trusted.manifest()), allow_removable)?;
    if stays.bind && !target.stays() {
        return Err(Fault::refused("only a fixed disk of this machine can be bound to its TPM")
            .at(order.disk.display())
            .fix("leave out --bind"));
    }
    stop.check()?;
    console.say(format!("writing {} to {}", order.reference, describe(target.disk())));
    let system = inventory::read().map(|inventory| inventory.system).unwrap_or_default();
    let watch = console.watch(&work.progress);
    let record = blocking(move || flash::flash(&trusted, target, system, None, stays, &work)).await;
    drop(watch);
    record
}

/// Reads back and compares, changing nothing.
///
/// # Errors
/// Exit 6 where anything differs.
pub(crate) async fn verify(order: &Order<'_>, console: &Console, stop: &Stop) -> Result<Comparison> {
    let work = work(stop);
    let trusted = Trusted::open(order.from, order.trust, order.access.clone(), order.reference, None).await?;
    let target = Target::for_reading(order.disk, Needs::from(trusted.manifest()))?;
    let watch = console.watch(&work.progress);
    let comparison = blocking(move || compare(&target, &trusted, &work)).await;
    drop(watch);
    comparison
}

fn work(stop: &Stop) -> Work {
    let progress = Progress::default();
    progress.enter(Phase::Trust, 0);
    Work { handle: Handle::current(), progress, stop: stop.clone() }
}
