//! Decides on each answer of a person: password, then the second factor, then a session and what is launched from it. Keeps
//! what must be remembered between two requests: failures, locks, codes used, counters, sessions. Knows nothing of HTTP.
//!
//! Times are seconds since 1970, given by the caller.

mod factors;
mod sessions;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

pub use self::{factors::Challenge, sessions::Launch};
use self::{factors::SignIn, sessions::Session};
use super::{
    accounts::{Accounts, Factor},
    push::{Answer, Phones},
    tickets::{MOST, Tickets},
    webauthn::Refusal,
};

/// How strict it is.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Failures in a row until a login is locked.
    pub tries: u32,
    /// How long it stays locked, in seconds.
    pub lock: u64,
    /// How long a person may take between password and second factor, in seconds.
    pub challenge: u64,
    /// How long a phone shows a request, in seconds.
    pub push: u64,
    /// How long a session lasts, in seconds.
    pub session: u64,
    /// How long it lasts with nothing done in it, in seconds.
    pub idle: u64,
    /// How long a launch may take from the click to the desktop, in seconds.
    pub launch: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // A NetScaler's session time-out is 30 minutes, a ticket of its Secure Ticket Authority is good for 100 seconds.
        Self { tries: 5, lock: 300, challenge: 180, push: 60, session: 8 * 3600, idle: 1800, launch: 100 }
    }
}

/// What came of one answer. In the log as it is; the person sees less, so that nobody can learn which logins exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Password right: a second factor is asked for.
    Challenge,
    /// Second factor right: signed in.
    SignedIn,
    /// No such login.
    UnknownUser,
    /// Password wrong.
    WrongPassword,
    /// Code not one of this person's.
    WrongCode,
    /// Code right some minutes ago.
    ExpiredCode,
    /// Code right, but used before.
    ReusedCode,
    /// The phone said no.
    PushDenied,
    /// The phone said nothing in time.
    PushTimedOut,
    /// Another sign-in asks the phone now.
    PushReplaced,
    /// Too many failures: locked for a while.
    Locked,
    /// No sign-in under way, or it took too long.
    NoChallenge,
    /// No session, or it has expired.
    NoSession,
    /// A ticket for a launch was given out.
    Launch,
    /// It was redeemed.
    Launched,
    /// No such ticket, or no longer.
    BadLaunch,
    /// Signed out.
    SignedOut,
    /// The security key's answer is not right.
    #[serde(untagged)]
    Assertion(Refusal),
}

#[derive(Default)]
struct Memory {
    failures: HashMap<String, (u32, u64)>,
    last_step: HashMap<String, u64>,
    counters: HashMap<String, u32>,
    phones: Phones,
    sign_ins: Tickets<SignIn>,
    sessions: Tickets<Session>,
    launches: Tickets<Launch>,
}

/// See the module.
pub struct Guard {
    accounts: Accounts,
    limits: Limits,
    /// The name that security keys know the Gateway by.
    host: String,
    memory: Mutex<Memory>,
}

impl Guard {
    /// With nobody signed in.
    pub fn new(host: &str, accounts: Accounts, limits: Limits) -> Self {
        Self { accounts, limits, host: host.to_owned(), memory: Mutex::default() }
    }

    /// Judges a password; gives the ticket for the second factor, and asks the phone where that is it.
    pub fn password(&self, login: &str, password: &str, now: u64) -> Result<String, Outcome> {
        let mut memory = self.memory();
        if locked(&memory, login, now) {
            return Err(Outcome::Locked);
        }
        let account = self.accounts.find(login);
        // Compared by digest, so that how long it takes says nothing about how much was right.
        let right = account.filter(|account| Sha256::digest(&account.password) == Sha256::digest(password));
        let Some(right) = right else {
            let outcome = if account.is_some() { Outcome::WrongPassword } else { Outcome::UnknownUser };
            return Err(self.failed(&mut memory, login, outcome, now));
        };
        let until = now + self.limits.challenge;
        let ticket = memory.sign_ins.issue(SignIn::of(right), until, now).map_err(|_| Outcome::NoChallenge)?;
        if right.factor == Factor::Push {
            memory.phones.ask(login, &ticket, now + self.limits.push, now);
        }
        Ok(ticket)
    }

    /// Whether a person's phone shows a request.
    pub fn phone_rings(&self, login: &str, now: u64) -> bool {
        self.memory().phones.rings(login, now)
    }

    /// A person answers on the phone; `false` where it shows nothing.
    pub fn phone_answers(&self, login: &str, answer: Answer, now: u64) -> bool {
        self.memory().phones.answer(login, answer, now)
    }

    fn failed(&self, memory: &mut Memory, login: &str, outcome: Outcome, now: u64) -> Outcome {
        if memory.failures.len() >= MOST && !memory.failures.contains_key(login) {
            memory.failures.retain(|_, (_, until)| *until > now);
        }
        let entry = memory.failures.entry(login.to_owned()).or_default();
        entry.0 += 1;
        if entry.0 >= self.limits.tries {
            *entry = (0, now + self.limits.lock);
            return Outcome::Locked;
        }
        outcome
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn locked(memory: &Memory, login: &str, now: u64) -> bool {
    memory.failures.get(login).is_some_and(|(_, until)| *until > now)
}
