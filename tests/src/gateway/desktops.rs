//! The desktops that people have opened in their browsers: who, what arrived from the keyboard, whether it has ended.
//!
//! In memory only, for tests to look at: what people type is never in the access log.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::tickets::MOST;

/// One of them.
#[derive(Clone, Debug)]
pub struct Desktop {
    /// Whose.
    pub login: String,
    /// Since when.
    pub opened: Timestamp,
    /// The browser has drawn its first pixels.
    pub drawn: bool,
    /// Keys, named as in a browser's `KeyboardEvent.key`, in order.
    pub keys: Vec<String>,
    /// It is over.
    pub ended: bool,
}

/// All of them, since the start.
#[derive(Default)]
pub struct Desktops(Mutex<Vec<Desktop>>);

/// Which one; only of use to those who opened it.
#[derive(Clone, Copy)]
pub struct Number(usize);

impl Desktops {
    /// A new one; none where there are too many.
    pub fn open(&self, login: &str) -> Option<Number> {
        let mut all = self.all();
        if all.len() >= MOST {
            return None;
        }
        all.push(Desktop { login: login.to_owned(), opened: Timestamp::now(), drawn: false, keys: Vec::new(), ended: false });
        Some(Number(all.len() - 1))
    }

    /// Takes in a key; its place among all of this desktop's.
    pub fn key(&self, number: Number, key: &str) -> usize {
        let mut all = self.all();
        let keys = &mut all[number.0].keys;
        if keys.len() < MOST {
            keys.push(key.to_owned());
        }
        keys.len() - 1
    }

    /// The browser has drawn it.
    pub fn drawn(&self, number: Number) {
        self.all()[number.0].drawn = true;
    }

    /// Ends one.
    pub fn end(&self, number: Number) {
        self.all()[number.0].ended = true;
    }

    /// Ends all those of a person.
    pub fn end_of(&self, login: &str) {
        self.all().iter_mut().filter(|desktop| desktop.login == login).for_each(|desktop| desktop.ended = true);
    }

    /// Ends all of them.
    pub fn end_all(&self) {
        self.all().iter_mut().for_each(|desktop| desktop.ended = true);
    }

    /// Whether one is over.
    pub fn ended(&self, number: Number) -> bool {
        self.all()[number.0].ended
    }

    /// How they stand, in the order in which they were opened.
    pub fn list(&self) -> Vec<Desktop> {
        self.all().clone()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Desktop>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
