//! One range of a pack, asked for again where the source fails. Fails with exit 5 after the last retry: one reset connection costs one
//! request, not the whole image (coreos/coreos-installer#1398).

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use backon::Retryable as _;
use bytes::Bytes;
use livery_contract::{Exit, Fault, Result, digest::Blob};

use super::source::Source;
use crate::work::stop::Stop;

/// Which bytes of which pack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// Index into the image's packs.
    pub pack: u32,
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// Requests to one source that fail together are one outage: sixteen lines that say the same help nobody. One line for each round of
/// retries, however many requests are in it, until one of them is answered.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// The last round that was told of.
    round: AtomicUsize,
}

impl Outage {
    fn failed(&self, round: usize, fault: &Fault, pause: Duration) {
        let millis = pause.as_millis();
        if self.round.fetch_max(round, Ordering::SeqCst) < round {
            tracing::warn!(%fault, "the source failed; trying again in {millis} ms");
        } else {
            tracing::debug!(%fault, "so did another request; trying it again in {millis} ms");
        }
    }

    fn over(&self) {
        self.round.store(0, Ordering::SeqCst);
    }
}

/// One range, tried again where the source fails.
///
/// # Errors
/// Exit 5 after the last retry; any other fault at once.
pub(crate) async fn range<S: Source>(source: &S, packs: &[Blob], wanted: Range, outage: &Outage, stop: &Stop) -> Result<Bytes> {
    let Range { pack, offset, length } = wanted;
    let Some(blob) = packs.get(pack as usize) else {
        return Err(Fault::internal(format!("pack {pack} of {}", packs.len())));
    };
    let once = || async {
        let bytes = source.range(blob, offset, length).await?;
        // Whatever the source promises: a short answer is never taken for a whole one (tinkerbell's image2disk).
        if bytes.len() as u64 != length {
            return Err(Fault::source(format!("{} bytes arrived, but {length} were requested", bytes.len())).at(source.place(blob)));
        }
        outage.over();
        Ok(bytes)
    };
    let mut round = 0;
    let answered =
        once.retry(source.retries()).sleep(tokio::time::sleep).when(|fault: &Fault| fault.exit() == Exit::Source).notify(
            |fault, pause| {
                round += 1;
                outage.failed(round, fault, pause);
            },
        );
    tokio::select! {
        result = answered => result,
        () = stop.wait() => Err(stop.fault()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use backon::ExponentialBuilder;
    use futures::future::join_all;
    use livery_contract::Digest;

    use super::*;

    /// Answers from so many requests on.
    #[derive(Clone)]
    struct Away {
        until: usize,
        requests: Arc<AtomicUsize>,
    }

    impl Source for Away {
        async fn range(&self, _: &Blob, _: u64, length: u64) -> Result<Bytes> {
            let answers = self.requests.fetch_add(1, Ordering::SeqCst) >= self.until;
            // Together: all have asked before one is answered.
            tokio::task::yield_now().await;
            if answers { Ok(vec![0; usize::try_from(length).unwrap()].into()) } else { Err(Fault::source("reset")) }
        }

        fn place(&self, _: &Blob) -> String {
            "nowhere".into()
        }

        fn retries(&self) -> ExponentialBuilder {
            ExponentialBuilder::new().with_min_delay(Duration::from_millis(1)).with_max_times(3)
        }

        fn in_flight(&self) -> usize {
            16
        }
    }

    /// What a log would have had.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// How many lines are said of sixteen requests, of which so many fail; and how many of them are answered in the end.
    fn said(until: usize) -> (usize, usize) {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_max_level(tracing::Level::WARN).finish();
        // On this one thread, since the subscriber is this thread's.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (source, outage, stop) = (Away { until, requests: Arc::default() }, Outage::default(), Stop::default());
        let packs = [Blob { digest: Digest::of(b""), length: 1 << 20 }];
        let results = tracing::subscriber::with_default(log, || {
            let one = |index| range(&source, &packs, Range { pack: 0, offset: index, length: 1 }, &outage, &stop);
            runtime.block_on(join_all((0..16).map(one)))
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        (text.matches("the source failed; trying again").count(), results.iter().filter(|result| result.is_ok()).count())
    }

    #[test]
    fn sixteen_that_fail_together_are_told_of_once_a_round() {
        assert_eq!(said(0), (0, 16));
        assert_eq!(said(16), (1, 16));
        assert_eq!(said(3 * 16), (3, 16));
        // For ever: three rounds of retries, and then the fault itself.
        assert_eq!(said(usize::MAX), (3, 0));
    }

    #[test]
    fn an_outage_after_an_answer_is_another_one() {
        let outage = Outage::default();
        outage.failed(2, &Fault::source("reset"), Duration::ZERO);
        assert_eq!(outage.round.load(Ordering::SeqCst), 2);
        outage.over();
        assert_eq!(outage.round.load(Ordering::SeqCst), 0);
    }
}
