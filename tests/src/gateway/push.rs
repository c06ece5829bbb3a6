//! Requests on people's phones: "is it you who signs in?". One for each login: a new one takes the place of the last, so that
//! an answer can only be about the newest.
//!
//! Times are seconds since 1970, given by the caller.

use std::collections::HashMap;

use super::tickets::MOST;

/// What a phone says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is me.
    Approve,
    /// It is not.
    Deny,
}

/// How a sign-in's request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has touched the phone yet.
    Waiting,
    /// The phone has answered.
    Answered(Answer),
    /// Nobody has answered in time.
    TimedOut,
    /// Another sign-in's request has taken its place.
    Replaced,
}

struct Request {
    sign_in: String,
    until: u64,
    answer: Option<Answer>,
}

/// All phones.
#[derive(Default)]
pub struct Phones(HashMap<String, Request>);

impl Phones {
    /// Asks a login's phone on behalf of a sign-in.
    pub fn ask(&mut self, login: &str, sign_in: &str, until: u64, now: u64) {
        if self.0.len() >= MOST {
            self.0.retain(|_, request| request.until > now);
        }
        self.0.insert(login.to_owned(), Request { sign_in: sign_in.to_owned(), until, answer: None });
    }

    /// Whether a phone shows a request.
    pub fn rings(&self, login: &str, now: u64) -> bool {
        self.0.get(login).is_some_and(|request| request.answer.is_none() && request.until > now)
    }

    /// The person answers what the phone shows; `false` where it shows nothing.
    pub fn answer(&mut self, login: &str, answer: Answer, now: u64) -> bool {
        if !self.rings(login, now) {
            return false;
        }
        self.0.get_mut(login).is_some_and(|request| request.answer.replace(answer).is_none())
    }

    /// How the request of this sign-in stands.
    pub fn state(&self, login: &str, sign_in: &str, now: u64) -> State {
        match self.0.get(login).filter(|request| request.sign_in == sign_in) {
            None => State::Replaced,
            Some(Request { answer: Some(answer), .. }) => State::Answered(*answer),
            Some(request) if request.until > now => State::Waiting,
            Some(_) => State::TimedOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answered_once_and_in_time() {
        let mut phones = Phones::default();
        assert!(!phones.answer("marie", Answer::Approve, 0), "nothing to answer");
        phones.ask("marie", "one", 60, 0);
        assert_eq!(phones.state("marie", "one", 59), State::Waiting);
        assert!(!phones.answer("paul", Answer::Approve, 1), "a phone is one person's");
        assert!(phones.answer("marie", Answer::Deny, 59));
        assert!(!phones.answer("marie", Answer::Approve, 59), "an answer stands");
        assert_eq!(phones.state("marie", "one", 100), State::Answered(Answer::Deny));

        phones.ask("marie", "two", 160, 100);
        assert_eq!(phones.state("marie", "two", 160), State::TimedOut);
        assert!(!phones.answer("marie", Answer::Approve, 160), "too late");
    }

    #[test]
    fn a_second_takes_the_place_of_the_first() {
        let mut phones = Phones::default();
        phones.ask("marie", "one", 60, 0);
        phones.ask("marie", "two", 61, 1);
        assert_eq!(phones.state("marie", "one", 1), State::Replaced);
        assert!(phones.answer("marie", Answer::Approve, 2));
        assert_eq!(phones.state("marie", "one", 2), State::Replaced, "the answer is about the second only");
        assert_eq!(phones.state("marie", "two", 2), State::Answered(Answer::Approve));
    }
}
