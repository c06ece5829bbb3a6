//! Work that is shared among threads, and work that blocks next to async tasks.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use livery_contract::{Fault, Result};

/// Twice as many as processors, since each waits for the disk in turn; at most 8, since each holds a buffer of 4 MiB.
pub(crate) fn count() -> usize {
    std::thread::available_parallelism().map_or(4, |count| (2 * count.get()).clamp(2, 8))
}

/// Does `step` for each item, on [`count`] threads, each with a state of its own. The results come in the items' order.
///
/// # Errors
/// The first fault; after it no item is begun.
pub(crate) fn each<I: Sync, S, T: Send>(
    items: &[I],
    state: impl Fn() -> S + Sync,
    step: impl Fn(&mut S, &I) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(items.len()));
    let first_fault: Mutex<Option<Fault>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..count().min(items.len()) {
            scope.spawn(|| {
                let mut state = state();
                loop {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    let (Some(item), false) = (items.get(index), failed.load(Ordering::SeqCst)) else { return };
                    match step(&mut state, item) {
                        Ok(result) => done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result)),
                        Err(fault) => {
                            failed.store(true, Ordering::SeqCst);
                            first_fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
                        }
                    }
                }
            });
        }
    });
    if let Some(fault) = first_fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(fault);
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// Runs a long step that blocks, on a thread where no async task waits for it.
///
/// # Errors
/// The step's own; exit 1 where it panicked.
pub(crate) async fn blocking<T: Send + 'static>(step: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(step)
        .await
        .unwrap_or_else(|error| Err(Fault::internal("a step was interrupted; the disk does not count as written").cause(error)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn in_order_and_the_first_fault_wins() {
        let items: Vec<u32> = (0..1000).collect();
        assert_eq!(each(&items, || (), |(), item| Ok(*item)).unwrap(), items);
        let fault = each(&items, || (), |(), item| if *item >= 7 { Err(Fault::device("seven")) } else { Ok(()) }).unwrap_err();
        assert_eq!(fault.to_string(), "seven");
        assert!(each(&[] as &[u32], || (), |(), _| Ok(())).unwrap().is_empty());
    }
}
