//! A terminal's test in namespaces of its own, with the disk that the agent wrote. Fails where the image can't be built or written.

use std::{path::PathBuf, time::Duration};

use livery_contract::Result;

use crate::{
    container::{self, root},
    site::{Allow, Site},
};

/// Bytes of a terminal's disk.
const DISK: u64 = 4 << 30;

/// The disk with the terminal's image, inside namespaces of this test's own; see [`container::ground::inside`].
///
/// # Errors
/// As there.
pub async fn inside(site: &Site, test: &str, most: Duration) -> Result<Option<PathBuf>> {
    inside_of(site, Allow::Nothing, test, most).await
}

/// The same of a terminal whose profile allows more.
///
/// # Errors
/// As [`inside`].
pub async fn inside_of(site: &Site, allow: Allow, test: &str, most: Duration) -> Result<Option<PathBuf>> {
    container::ground::inside(test, most, async || disk(site, allow).await).await
}

/// The disk that the agent wrote, as in the factory; the image is built, and the disk written again, where that is not done.
///
/// # Errors
/// Where a program fails.
pub async fn disk(site: &Site, allow: Allow) -> Result<PathBuf> {
    let reference = site.build_for_a_virtual_screen(allow).await?;
    root::disk(site, allow.name(), DISK, &reference).await
}
