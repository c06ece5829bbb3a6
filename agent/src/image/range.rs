//! One range of a pack, asked for again where the source fails. Fails with exit 5 after the last retry: one reset connection costs one
//! request, not the whole image (coreos/coreos-installer#1398).

use bytes::Bytes;
use livery_contract::{Exit, Fault, Result, digest::Blob};

use super::source::Source;
use crate::work::stop::Stop;

/// One range, tried again where the source fails.
///
/// # Errors
/// Exit 5 after the last retry; any other fault at once.
pub async fn range<S: Source>(source: &S, packs: &[Blob], pack: u32, offset: u64, length: u64, stop: &Stop) -> Result<Bytes> {
    let Some(blob) = packs.get(pack as usize) else {
        return Err(Fault::internal(format!("pack {pack} of {}", packs.len())));
    };
    let mut delays = source.retries().iter();
    loop {
        let result = tokio::select! {
            result = source.range(blob, offset, length) => result,
            () = stop.wait() => return Err(stop.fault()),
        };
        let fault = match result {
            // Whatever the source promises: a short answer is never taken for a whole one (tinkerbell's image2disk).
            Ok(bytes) if bytes.len() as u64 == length => return Ok(bytes),
            Ok(bytes) => Fault::source(format!("{} bytes came, {length} were asked for", bytes.len())).at(source.place(blob)),
            Err(fault) if fault.exit() != Exit::Source => return Err(fault),
            Err(fault) => fault,
        };
        let Some(delay) = delays.next() else { return Err(fault) };
        tracing::warn!(%fault, "the source failed; trying again in {} ms", delay.as_millis());
        tokio::select! {
            () = tokio::time::sleep(*delay) => {}
            () = stop.wait() => return Err(stop.fault()),
        }
    }
}
