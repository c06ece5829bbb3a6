//! When a request that failed is made again: one place for whatever goes over the network. All grow by doubling.

use std::time::Duration;

use backon::ExponentialBuilder;

const DOUBLING: ExponentialBuilder = ExponentialBuilder::new().with_factor(2.0);

/// A range of a pack, from a server: half a minute in all, a switch's reboot.
pub(crate) const RANGE: ExponentialBuilder =
    DOUBLING.with_min_delay(Duration::from_millis(500)).with_max_delay(Duration::from_secs(15)).with_max_times(6);
/// A range of a pack, from a folder: one that fails now fails in a second too.
pub(crate) const RANGE_OF_A_FILE: ExponentialBuilder = RANGE.with_max_times(1);
/// What the device cannot go on without: as long as it takes, or as long as whoever asks has patience.
pub(crate) const NEEDED: ExponentialBuilder =
    DOUBLING.with_min_delay(Duration::from_secs(1)).with_max_delay(Duration::from_secs(30)).without_max_times();
/// What the operator reads on the screen anyway.
pub(crate) const COURTESY: ExponentialBuilder =
    DOUBLING.with_min_delay(Duration::from_secs(1)).with_max_delay(Duration::from_secs(4)).with_max_times(4);

#[cfg(test)]
mod tests {
    use backon::BackoffBuilder as _;

    use super::*;

    #[test]
    fn how_long_and_how_often() {
        let millis = |policy: ExponentialBuilder| policy.build().take(8).map(|pause| pause.as_millis()).collect::<Vec<_>>();
        assert_eq!(millis(RANGE), [500, 1000, 2000, 4000, 8000, 15_000]);
        assert_eq!(millis(RANGE_OF_A_FILE), [500]);
        assert_eq!(millis(NEEDED), [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(millis(COURTESY), [1000, 2000, 4000, 4000]);
    }
}
