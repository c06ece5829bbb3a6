//! The second factor: a code, a tap on the phone, or a touch of a security key. One sign-in takes only the factor that its
//! account has.

use super::{Guard, Memory, Outcome, locked, sessions::Session};
use crate::gateway::{
    accounts::{Account, Factor},
    push::{Answer, State},
    tickets::random,
    totp::{STEP, Secret},
    webauthn::{self, Assertion, BASE64URL, Refusal},
};
use base64::Engine as _;

/// A sign-in under way.
pub(super) struct SignIn {
    login: String,
    factor: Factor,
    /// What the security key is to sign: good for one answer.
    nonce: Option<[u8; 32]>,
}

impl SignIn {
    pub(super) fn of(account: &Account) -> Self {
        Self { login: account.login.clone(), factor: account.factor, nonce: None }
    }
}

/// What a person is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A one-time code.
    Code,
    /// A tap on the phone.
    Push,
    /// A touch of the security key; both in Base64url.
    Key {
        /// What it is to sign.
        challenge: String,
        /// Which of its credentials is asked for.
        credential: String,
    },
}

impl Guard {
    /// What this ticket still waits for. A security key is given a new challenge each time.
    pub fn challenge(&self, ticket: &str, now: u64) -> Option<Challenge> {
        let mut memory = self.memory();
        let sign_in = memory.sign_ins.get_mut(ticket, now)?;
        match sign_in.factor {
            Factor::Totp => Some(Challenge::Code),
            Factor::Push => Some(Challenge::Push),
            Factor::Fido2 => {
                let credential = self.accounts.find(&sign_in.login)?.credential.as_ref()?.id.clone();
                let nonce = random().ok()?;
                sign_in.nonce = Some(nonce);
                Some(Challenge::Key { challenge: BASE64URL.encode(nonce), credential })
            }
        }
    }

    /// Judges a one-time code; gives the session's token.
    pub fn code(&self, ticket: &str, code: &str, now: u64) -> Result<String, Outcome> {
        let mut memory = self.memory();
        let account = self.waiting(&mut memory, ticket, Factor::Totp, now)?;
        let secret = Secret::parse(&account.secret).map_err(|_| Outcome::NoChallenge)?;
        let used = memory.last_step.get(&account.login).copied();
        match secret.step_of(code, now) {
            // A step up to the last accepted one is spent (RFC 6238, section 5.2).
            Some(step) if used.is_some_and(|used| step <= used) => {
                Err(self.failed(&mut memory, &account.login, Outcome::ReusedCode, now))
            }
            Some(step) => {
                memory.last_step.insert(account.login.clone(), step);
                self.signed_in(&mut memory, ticket, account, now)
            }
            None => {
                // Ten minutes back: only for the log, to tell a slow person from a wrong phone.
                let late = (2..=20).any(|steps| secret.code(now.saturating_sub(steps * STEP)) == code);
                let outcome = if late { Outcome::ExpiredCode } else { Outcome::WrongCode };
                Err(self.failed(&mut memory, &account.login, outcome, now))
            }
        }
    }

    /// Asks how the phone's request stands; gives the session's token once it is approved, nothing while it waits. Any other
    /// end is that of the whole sign-in.
    pub fn push(&self, ticket: &str, now: u64) -> Result<Option<String>, Outcome> {
        let mut memory = self.memory();
        let account = self.waiting(&mut memory, ticket, Factor::Push, now)?;
        let refused = match memory.phones.state(&account.login, ticket, now) {
            State::Waiting => return Ok(None),
            State::Answered(Answer::Approve) => return self.signed_in(&mut memory, ticket, account, now).map(Some),
            State::Answered(Answer::Deny) => Outcome::PushDenied,
            State::TimedOut => Outcome::PushTimedOut,
            State::Replaced => Outcome::PushReplaced,
        };
        memory.sign_ins.take(ticket, now);
        // Who has the password and asks again and again until somebody gives in must come to an end.
        Err(match refused {
            Outcome::PushReplaced => refused,
            _ => self.failed(&mut memory, &account.login, refused, now),
        })
    }

    /// Judges a security key's answer; gives the session's token.
    pub fn assertion(&self, ticket: &str, assertion: &Assertion, now: u64) -> Result<String, Outcome> {
        let mut memory = self.memory();
        let account = self.waiting(&mut memory, ticket, Factor::Fido2, now)?;
        let credential = account.credential.as_ref().ok_or(Outcome::NoChallenge)?;
        // Taken away before it is judged: a second answer to the same challenge is none, whatever came of the first.
        let nonce = memory.sign_ins.get_mut(ticket, now).and_then(|sign_in| sign_in.nonce.take());
        let count = memory.counters.get(&account.login).copied().unwrap_or(credential.counter);
        let judged = nonce
            .ok_or(Refusal::OtherChallenge)
            .and_then(|nonce| webauthn::verify(credential, count, &self.host, &nonce, assertion));
        match judged {
            Ok(count) => {
                memory.counters.insert(account.login.clone(), count);
                self.signed_in(&mut memory, ticket, account, now)
            }
            Err(refusal) => Err(self.failed(&mut memory, &account.login, Outcome::Assertion(refusal), now)),
        }
    }

    /// Whose sign-in it is, where it waits for this factor.
    fn waiting(&self, memory: &mut Memory, ticket: &str, factor: Factor, now: u64) -> Result<&Account, Outcome> {
        let sign_in = memory.sign_ins.get(ticket, now).filter(|sign_in| sign_in.factor == factor).ok_or(Outcome::NoChallenge)?;
        let account = self.accounts.find(&sign_in.login).ok_or(Outcome::NoChallenge)?;
        if locked(memory, &account.login, now) {
            memory.sign_ins.take(ticket, now);
            return Err(Outcome::Locked);
        }
        Ok(account)
    }

    fn signed_in(&self, memory: &mut Memory, ticket: &str, account: &Account, now: u64) -> Result<String, Outcome> {
        memory.sign_ins.take(ticket, now);
        memory.failures.remove(&account.login);
        memory.sessions.issue(Session::of(account, now), now + self.limits.session, now).map_err(|_| Outcome::NoSession)
    }
}
