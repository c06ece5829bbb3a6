//! What a person has once signed in: a session, and from it tickets that open the desktop once.

use super::{Guard, Memory, Outcome};
use crate::gateway::accounts::{Account, Receiver};

/// Who is signed in.
pub(super) struct Session {
    login: String,
    /// When something was last done in it.
    seen: u64,
}

impl Session {
    pub(super) fn of(account: &Account, now: u64) -> Self {
        Self { login: account.login.clone(), seen: now }
    }
}

/// A desktop on its way to being opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Whose.
    pub login: String,
    /// In what.
    pub receiver: Receiver,
    /// The session's token.
    session: String,
}

impl Launch {
    /// Whether it comes from this session.
    pub fn is_of(&self, token: &str) -> bool {
        self.session == token
    }
}

impl Guard {
    /// The account behind a session, while it lasts; that it is asked for counts as something done in it.
    pub fn session(&self, token: &str, now: u64) -> Option<&Account> {
        let mut memory = self.memory();
        let account = self.of_session(&mut memory, token, now)?;
        memory.sessions.get_mut(token, now)?.seen = now;
        Some(account)
    }

    /// Whether a session lasts. Only looks, and does not count as something done in it.
    pub fn lasts(&self, token: &str, now: u64) -> bool {
        self.of_session(&mut self.memory(), token, now).is_some()
    }

    /// Gives out a ticket that opens the session's desktop, once, in what the account says.
    pub fn launch(&self, token: &str, now: u64) -> Result<String, Outcome> {
        let account = self.session(token, now).ok_or(Outcome::NoSession)?;
        let launch = Launch { login: account.login.clone(), receiver: account.receiver, session: token.to_owned() };
        self.memory().launches.issue(launch, now + self.limits.launch, now).map_err(|_| Outcome::BadLaunch)
    }

    /// Takes such a ticket from what opens the desktop.
    pub fn redeem(&self, ticket: &str, receiver: Receiver, now: u64) -> Result<Launch, Outcome> {
        let mut memory = self.memory();
        let launch = memory.launches.take(ticket, now).filter(|launch| launch.receiver == receiver).ok_or(Outcome::BadLaunch)?;
        self.of_session(&mut memory, &launch.session, now).map(|_| launch).ok_or(Outcome::BadLaunch)
    }

    /// Ends a session, and what was to be launched from it.
    pub fn sign_out(&self, token: &str) {
        let mut memory = self.memory();
        memory.sessions.take(token, 0);
        memory.launches.take_all(|launch| launch.session == token);
    }

    fn of_session(&self, memory: &mut Memory, token: &str, now: u64) -> Option<&Account> {
        let session = memory.sessions.get(token, now)?;
        if session.seen + self.limits.idle <= now {
            memory.sessions.take(token, now);
            return None;
        }
        self.accounts.find(&session.login)
    }
}
