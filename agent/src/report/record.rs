//! The evidence, made from a [`Finished`] disk and from nothing else.

use livery_contract::{
    inventory::System,
    job::Job,
    record::{Record, SCHEMA},
};

use crate::{
    VERSION,
    finish::finished::{Finished, Parts},
    image::{source::Source, trust::Trusted},
};

/// The record of a write. `job` is `None` for a write by hand.
pub(crate) fn record<S: Source>(finished: Finished, trusted: &Trusted<S>, system: System, job: Option<&Job>) -> Record {
    let Parts { target, sections, changed_after, boot_entry, bound, keys, traffic, times } = finished.into_parts();
    let manifest = trusted.manifest();
    Record {
        schema: SCHEMA,
        job: job.map(|job| job.id),
        order: job.map(|job| job.order.clone()).or_else(|| manifest.personal.as_ref().map(|personal| personal.order.clone())),
        system,
        disk: target.disk().clone(),
        image: manifest.reference(),
        manifest: *trusted.digest(),
        size: manifest.size,
        sections,
        changed_after,
        boot_entry,
        bound,
        keys,
        traffic,
        times,
        agent: VERSION.into(),
    }
}
