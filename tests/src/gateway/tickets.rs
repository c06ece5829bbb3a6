//! What is given out under a name that nobody can guess, and for a while only: sign-ins under way, sessions, launches.
//!
//! Times are seconds since 1970, given by the caller.

use std::collections::HashMap;

use livery_contract::{Fault, Result};

/// The most that is remembered of each kind: a bound on memory, far above any test.
pub const MOST: usize = 10_000;

/// Things by their tickets.
pub struct Tickets<T>(HashMap<String, (u64, T)>);

impl<T> Default for Tickets<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Tickets<T> {
    /// Gives out a new ticket, good until `until`.
    ///
    /// # Errors
    /// Where the system gives no randomness, or too many are out.
    pub fn issue(&mut self, thing: T, until: u64, now: u64) -> Result<String> {
        if self.0.len() >= MOST {
            self.0.retain(|_, (until, _)| *until > now);
        }
        if self.0.len() >= MOST {
            return Err(Fault::refused(format!("over {MOST} tickets are out")));
        }
        let ticket = hexadecimal(&random::<32>()?);
        self.0.insert(ticket.clone(), (until, thing));
        Ok(ticket)
    }

    /// What this ticket is for, while it is good.
    pub fn get(&self, ticket: &str, now: u64) -> Option<&T> {
        self.0.get(ticket).filter(|(until, _)| *until > now).map(|(_, thing)| thing)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, ticket: &str, now: u64) -> Option<&mut T> {
        self.0.get_mut(ticket).filter(|(until, _)| *until > now).map(|(_, thing)| thing)
    }

    /// Takes it back: this ticket is good for nothing from now on.
    pub fn take(&mut self, ticket: &str, now: u64) -> Option<T> {
        self.0.remove(ticket).filter(|(until, _)| *until > now).map(|(_, thing)| thing)
    }

    /// Takes back all those that are for such things.
    pub fn take_all(&mut self, mut which: impl FnMut(&T) -> bool) {
        self.0.retain(|_, (_, thing)| !which(thing));
    }
}

/// Bytes that nobody can guess.
///
/// # Errors
/// Where the system gives no randomness.
pub fn random<const LENGTH: usize>() -> Result<[u8; LENGTH]> {
    let mut bytes = [0_u8; LENGTH];
    getrandom::fill(&mut bytes).map_err(|error| Fault::internal("no randomness").cause(error))?;
    Ok(bytes)
}

/// As text, two digits for each byte.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn good_once_and_for_a_while() {
        let mut tickets = Tickets::default();
        let (one, other) = (tickets.issue("one", 10, 0).unwrap(), tickets.issue("other", 10, 0).unwrap());
        assert_ne!(one, other);
        assert_eq!(tickets.get(&one, 9), Some(&"one"));
        assert_eq!((tickets.get(&one, 10), tickets.get("", 0)), (None, None));
        assert_eq!((tickets.take(&one, 9), tickets.take(&one, 9)), (Some("one"), None));
        assert_eq!((tickets.take(&other, 10), tickets.take(&other, 0)), (None, None), "too late is taken, too");
    }

    #[test]
    fn bounded() {
        let mut tickets = Tickets::default();
        for number in 0..MOST {
            tickets.issue(number, 10, 0).unwrap();
        }
        assert!(tickets.issue(0, 20, 9).is_err());
        assert!(tickets.issue(0, 20, 10).is_ok(), "those out of date make room");
    }
}
