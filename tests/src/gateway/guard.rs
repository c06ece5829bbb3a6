//! Decides on each answer of a person: password, then one-time code, then a session. Keeps what must be remembered
//! between two requests: failures, locks, codes used, sessions. Knows nothing of HTTP.
//!
//! Times are seconds since 1970, given by the caller.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use livery_contract::{Fault, Result};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    accounts::{Account, Accounts},
    totp::{STEP, Secret},
};

/// The most logins, half-finished sign-ins or sessions that are remembered: a bound on memory, far above any test.
const MOST: usize = 10_000;

/// How strict it is.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Failures in a row until a login is locked.
    pub tries: u32,
    /// How long it stays locked, in seconds.
    pub lock: u64,
    /// How long a person may take between password and code, in seconds.
    pub challenge: u64,
    /// How long a session lasts, in seconds.
    pub session: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tries: 5, lock: 300, challenge: 180, session: 8 * 3600 }
    }
}

/// What came of one answer. In the log as it is; the person sees less, so that nobody can learn which logins exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Password right: a code is asked for.
    Challenge,
    /// Code right: signed in.
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
    /// Too many failures: locked for a while.
    Locked,
    /// No sign-in under way, or it took too long.
    NoChallenge,
    /// No session, or it has expired.
    NoSession,
    /// Signed out.
    SignedOut,
}

/// Who has a session.
#[derive(Clone, Debug)]
pub struct Session {
    /// The account's login.
    pub login: String,
    /// Until when.
    pub until: u64,
}

#[derive(Default)]
struct Memory {
    failures: HashMap<String, (u32, u64)>,
    last_step: HashMap<String, u64>,
    challenges: HashMap<String, Session>,
    sessions: HashMap<String, Session>,
}

/// See the module.
pub struct Guard {
    accounts: Accounts,
    limits: Limits,
    memory: Mutex<Memory>,
}

impl Guard {
    /// With nobody signed in.
    pub fn new(accounts: Accounts, limits: Limits) -> Self {
        Self { accounts, limits, memory: Mutex::default() }
    }

    /// The accounts it knows.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Judges a password; gives the ticket for the second factor.
    pub fn password(&self, login: &str, password: &str, now: u64) -> Result<String, Outcome> {
        let mut memory = self.memory();
        if locked(&memory, login, now) {
            return Err(Outcome::Locked);
        }
        let account = self.accounts.find(login);
        // Compared by digest, so that how long it takes says nothing about how much was right.
        let right = account.is_some_and(|account| Sha256::digest(&account.password) == Sha256::digest(password));
        if !right {
            let outcome = if account.is_some() { Outcome::WrongPassword } else { Outcome::UnknownUser };
            return Err(self.failed(&mut memory, login, outcome, now));
        }
        let ticket = token().map_err(|_| Outcome::NoChallenge)?;
        let until = now + self.limits.challenge;
        keep(&mut memory.challenges, ticket.clone(), Session { login: login.to_owned(), until }, now);
        Ok(ticket)
    }

    /// Whether this ticket still waits for a code.
    pub fn challenged(&self, ticket: &str, now: u64) -> bool {
        self.memory().challenges.get(ticket).is_some_and(|challenge| challenge.until > now)
    }

    /// Judges a one-time code; gives the session's token.
    pub fn code(&self, ticket: &str, code: &str, now: u64) -> Result<String, Outcome> {
        let mut memory = self.memory();
        let Some(challenge) = memory.challenges.get(ticket).filter(|challenge| challenge.until > now).cloned() else {
            return Err(Outcome::NoChallenge);
        };
        let login = challenge.login;
        if locked(&memory, &login, now) {
            memory.challenges.remove(ticket);
            return Err(Outcome::Locked);
        }
        let Some(secret) = self.accounts.find(&login).and_then(|account: &Account| Secret::parse(&account.secret).ok()) else {
            return Err(Outcome::NoChallenge);
        };
        let used = memory.last_step.get(&login).copied();
        match secret.step_of(code, now) {
            // A step up to the last accepted one is spent (RFC 6238, section 5.2).
            Some(step) if used.is_some_and(|used| step <= used) => Err(self.failed(&mut memory, &login, Outcome::ReusedCode, now)),
            Some(step) => {
                memory.challenges.remove(ticket);
                memory.failures.remove(&login);
                memory.last_step.insert(login.clone(), step);
                let session = token().map_err(|_| Outcome::NoSession)?;
                keep(&mut memory.sessions, session.clone(), Session { login, until: now + self.limits.session }, now);
                Ok(session)
            }
            None => {
                // Ten minutes back: only for the log, to tell a slow person from a wrong phone.
                let late = (2..=20).any(|steps| secret.code(now.saturating_sub(steps * STEP)) == code);
                let outcome = if late { Outcome::ExpiredCode } else { Outcome::WrongCode };
                Err(self.failed(&mut memory, &login, outcome, now))
            }
        }
    }

    /// The account behind a session, while it lasts.
    pub fn session(&self, token: &str, now: u64) -> Option<&Account> {
        let memory = self.memory();
        let session = memory.sessions.get(token).filter(|session| session.until > now)?;
        self.accounts.find(&session.login)
    }

    /// Ends a session.
    pub fn sign_out(&self, token: &str) {
        self.memory().sessions.remove(token);
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

fn keep(map: &mut HashMap<String, Session>, token: String, session: Session, now: u64) {
    if map.len() >= MOST {
        map.retain(|_, session| session.until > now);
    }
    if map.len() < MOST {
        map.insert(token, session);
    }
}

/// 256 bits that nobody can guess.
fn token() -> Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| Fault::internal("no randomness").cause(error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn guard() -> (Guard, Secret) {
        let secret = Secret::generate().unwrap();
        let account = Account {
            login: "marie".into(),
            name: "Marie".into(),
            password: "right".into(),
            secret: secret.to_base32(),
            desktop: "Desk".into(),
        };
        (Guard::new(Accounts { account: vec![account] }, Limits::default()), secret)
    }

    #[test]
    fn a_code_is_accepted_once_and_only_in_its_time() {
        let (guard, secret) = guard();
        let ticket = guard.password("marie", "right", NOW).unwrap();
        assert_eq!(guard.code(&ticket, &secret.code(NOW - 120), NOW), Err(Outcome::ExpiredCode));
        let code = secret.code(NOW);
        let session = guard.code(&ticket, &code, NOW).unwrap();
        assert_eq!(guard.session(&session, NOW).unwrap().login, "marie");
        assert!(guard.session(&session, NOW + 8 * 3600).is_none(), "expired");
        assert_eq!(guard.code(&ticket, &code, NOW), Err(Outcome::NoChallenge), "a ticket is for one sign-in");
        let again = guard.password("marie", "right", NOW + 1).unwrap();
        assert_eq!(guard.code(&again, &code, NOW + 1), Err(Outcome::ReusedCode));
        assert_eq!(guard.code(&again, &secret.code(NOW - 30), NOW + 1), Err(Outcome::ReusedCode), "nor one before it");
        assert!(guard.code(&again, &secret.code(NOW + 30), NOW + 30).is_ok());
    }

    #[test]
    fn five_failures_lock_for_a_while() {
        let (guard, secret) = guard();
        for _ in 0..2 {
            assert_eq!(guard.password("marie", "wrong", NOW), Err(Outcome::WrongPassword));
        }
        let ticket = guard.password("marie", "right", NOW).unwrap();
        let wrong = if secret.step_of("000000", NOW).is_some() { "111111" } else { "000000" };
        for _ in 0..2 {
            assert_eq!(guard.code(&ticket, wrong, NOW), Err(Outcome::WrongCode));
        }
        assert_eq!(guard.code(&ticket, wrong, NOW), Err(Outcome::Locked));
        assert_eq!(guard.code(&ticket, &secret.code(NOW), NOW), Err(Outcome::Locked), "even a right one");
        assert_eq!(guard.password("marie", "right", NOW + 299), Err(Outcome::Locked));
        assert!(guard.password("marie", "right", NOW + 300).is_ok());
        assert_eq!(guard.password("nobody", "x", NOW), Err(Outcome::UnknownUser));
    }

    #[test]
    fn a_challenge_expires() {
        let (guard, secret) = guard();
        let ticket = guard.password("marie", "right", NOW).unwrap();
        assert!(guard.challenged(&ticket, NOW + 179));
        assert_eq!(guard.code(&ticket, &secret.code(NOW + 180), NOW + 180), Err(Outcome::NoChallenge));
    }
}
