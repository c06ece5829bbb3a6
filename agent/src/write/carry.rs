//! One copy of what a disk holds: read where it lies, checked, and written where it belongs, on the same disk or another. In: a [`Copy`].
//! Out: whether it was what it should be; else nothing was written.

use livery_contract::{Fault, Result};

use super::moves::Copy;
use crate::{
    device::{AlignedBuffer, Device},
    work::Work,
};

/// Carries a copy by way of `buffer`, which has room for a whole one. `false` where the device holds something else than its chunks.
///
/// # Errors
/// Exit 6 where a device fails.
pub(crate) fn carry(copy: &Copy, from: &Device, to: &Device, buffer: &mut AlignedBuffer, work: &Work) -> Result<bool> {
    work.stop.check()?;
    let length = usize::try_from(copy.length).ok().filter(|length| *length <= buffer.len());
    let length = length.ok_or_else(|| Fault::internal("a copy is larger than its buffer"))?;
    let bytes = &mut buffer[..length];
    from.read(copy.from, bytes)?;
    if !copy.is(bytes) {
        return Ok(false);
    }
    to.write(copy.to, bytes)?;
    work.progress.add(copy.length);
    Ok(true)
}
