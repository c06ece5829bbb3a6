//! Carries packets from one TUN interface to the other as netem would: one after the other at the link's rate, each a fixed
//! delay later, some of them never.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use livery_contract::{Fault, Result};

use super::{
    LIMIT, Terms,
    packet::{self, LARGEST},
    tun::Tun,
};

/// How often packets, and due ones, are looked for: fine beside milliseconds of delay.
const GLANCE: Duration = Duration::from_micros(200);
/// Packets that are read before the others get at the queue.
const BATCH: usize = 64;

/// See the module. It ends when dropped.
pub struct Relay {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    toward_a: Arc<AtomicU64>,
}

struct Queue {
    waiting: Mutex<VecDeque<(Instant, Vec<u8>)>>,
    /// Bytes of all packets that were let in, each segment with its headers.
    carried: Arc<AtomicU64>,
}

impl Relay {
    /// Starts it, in both directions.
    ///
    /// # Errors
    /// Where no thread can be had.
    pub fn start(a: Tun, b: Tun, terms: Terms) -> Result<Self> {
        let toward_a = Arc::new(AtomicU64::new(0));
        let mut relay = Self { stop: Arc::new(AtomicBool::new(false)), threads: Vec::new(), toward_a: toward_a.clone() };
        for (from, to, seed, carried) in [(a.clone(), b.clone(), 0x9e37_79b9, Arc::default()), (b, a, 0x85eb_ca6b, toward_a)] {
            let queue = Arc::new(Queue { waiting: Mutex::default(), carried });
            let (inward, stop) = (queue.clone(), relay.stop.clone());
            relay.run(move || read(&from, &inward, terms, seed, &stop))?;
            let stop = relay.stop.clone();
            relay.run(move || write(&to, &queue, &stop))?;
        }
        Ok(relay)
    }

    /// Bytes that arrived at `a`, or will: IP packets of at most the interface's MTU, as on a wire.
    pub fn received(&self) -> u64 {
        self.toward_a.load(Ordering::Relaxed)
    }

    fn run(&mut self, step: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<()> {
        let stop = self.stop.clone();
        let body = move || {
            if let Err(error) = step() {
                // When the namespaces go first, that is no news.
                if !stop.load(Ordering::Relaxed) {
                    eprintln!("the relay broke off: {error}");
                }
            }
        };
        let thread = thread::Builder::new().name("relay".into()).spawn(body);
        self.threads.push(thread.map_err(|error| Fault::internal("no thread for the relay").cause(error))?);
        Ok(())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Decides when each packet arrives, or that it does not.
struct Wire {
    terms: Terms,
    /// When the last packet has left.
    free: Instant,
    dice: u64,
}

impl Wire {
    fn new(terms: Terms, seed: u64, now: Instant) -> Self {
        Self { terms, free: now, dice: seed }
    }

    fn arrival(&mut self, bytes: usize, now: Instant) -> Option<Instant> {
        self.free = self.free.max(now) + self.terms.time(bytes);
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        // Of the upper 53 bits, a number from 0 to 1. A lost packet has taken its time on the wire.
        let chance = (self.dice >> 11) as f64 / (1_u64 << 53) as f64;
        (chance * 100.0 >= self.terms.loss_percent)
            .then(|| self.free + Duration::from_millis(u64::from(self.terms.delay_milliseconds)))
    }
}

fn read(from: &Tun, queue: &Queue, terms: Terms, seed: u64, stop: &AtomicBool) -> io::Result<()> {
    let mut wire = Wire::new(terms, seed, Instant::now());
    let (mut buffer, mut batch) = (vec![0; LARGEST], Vec::with_capacity(BATCH));
    while !stop.load(Ordering::Relaxed) {
        while batch.len() < BATCH
            && let Some(count) = from.receive(&mut buffer)?
        {
            let now = Instant::now();
            packet::carry(
                &buffer[..count],
                |bytes| wire.arrival(bytes, now),
                |due, bytes, packet| {
                    queue.carried.fetch_add(bytes as u64, Ordering::Relaxed);
                    batch.push((due, packet));
                },
            );
        }
        if batch.is_empty() {
            thread::sleep(GLANCE);
            continue;
        }
        let mut waiting = queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let room = LIMIT.saturating_sub(waiting.len());
        waiting.extend(batch.drain(..).take(room));
    }
    Ok(())
}

fn write(to: &Tun, queue: &Queue, stop: &AtomicBool) -> io::Result<()> {
    let mut due = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        let mut waiting = queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while waiting.front().is_some_and(|(when, _)| *when <= now) {
            due.extend(waiting.pop_front());
        }
        drop(waiting);
        if due.is_empty() {
            thread::sleep(GLANCE);
        }
        for (_, packet) in due.drain(..) {
            match to.send(&packet) {
                Ok(()) => {}
                // The interface is not up yet, or does not take this packet (EINVAL): lost, as on a wire.
                Err(error) if matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::ENOBUFS | libc::EAGAIN)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn packets_come_at_the_rate_after_the_delay_and_some_never() {
        let terms = Terms { megabits: 1000, delay_milliseconds: 20, loss_percent: 1.0 };
        let begun = Instant::now();
        let mut wire = Wire::new(terms, 7, begun);
        let arrivals: Vec<_> = (0..100_000).map(|_| wire.arrival(1500, begun)).collect();
        let lost = arrivals.iter().filter(|arrival| arrival.is_none()).count();
        assert!((800..1200).contains(&lost), "{lost} of 100,000 lost at 1%");
        // 1514 bytes at a gigabit: 12.112 microseconds each.
        let last = arrivals.iter().flatten().next_back().unwrap().duration_since(begun).as_secs_f64();
        assert!((last - (100_000.0 * 12.112e-6 + 0.020)).abs() < 0.001, "{last}");
    }
}
