//! The pages, in French and English. Askama escapes whatever comes from outside.

use askama::Template;

use super::accounts::Account;

/// The language of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// French.
    French,
}

impl Language {
    /// What a browser asks for by `Accept-Language` (RFC 9110, section 12.5.4); English where neither is asked for.
    pub fn of_header(header: &str) -> Self {
        let mut best = (0.0, Self::English);
        for part in header.split(',').take(32) {
            let (range, weight) = part.split_once(';').unwrap_or((part, "q=1"));
            let weight: f32 = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok()).unwrap_or(0.0);
            let language = match range.trim().split('-').next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "fr" => Self::French,
                "en" => Self::English,
                _ => continue,
            };
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }

    /// As in HTML's `lang`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }

    /// The one of two texts that is in this language.
    pub const fn pick<'a>(self, english: &'a str, french: &'a str) -> &'a str {
        match self {
            Self::English => english,
            Self::French => french,
        }
    }
}

/// Why a person sees the sign-in page again. The numbers are those of NetScaler's `NSC_VPNERR` cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// 4001: something about the answer was wrong; never says what.
    Credentials,
    /// 4015: too many failures.
    Locked,
    /// Ours: the session or the sign-in took too long. NetScaler shows the plain page.
    Expired,
    /// Ours: the phone said no.
    Denied,
    /// Ours: the phone said nothing in time.
    Unanswered,
    /// Ours: another sign-in asks the phone now.
    Replaced,
}

impl Complaint {
    /// The cookie's value.
    pub const fn number(self) -> &'static str {
        match self {
            Self::Credentials => "4001",
            Self::Locked => "4015",
            Self::Expired => "0",
            Self::Denied => "1",
            Self::Unanswered => "2",
            Self::Replaced => "3",
        }
    }

    /// From the cookie's value.
    pub fn of_number(number: &str) -> Option<Self> {
        [Self::Credentials, Self::Locked, Self::Expired, Self::Denied, Self::Unanswered, Self::Replaced]
            .into_iter()
            .find(|complaint| complaint.number() == number)
    }
}

/// User name and password.
#[derive(Template)]
#[template(path = "gateway/sign-in.html")]
pub struct SignIn<'a> {
    /// Which language.
    pub language: Language,
    /// Whose page it is.
    pub organisation: &'a str,
    /// Why it is shown again.
    pub complaint: Option<Complaint>,
}

/// The one-time code.
#[derive(Template)]
#[template(path = "gateway/code.html")]
pub struct Code<'a> {
    /// Which language.
    pub language: Language,
    /// Whose page it is.
    pub organisation: &'a str,
    /// Why it is shown again.
    pub complaint: Option<Complaint>,
}

/// The request on the phone.
#[derive(Template)]
#[template(path = "gateway/push.html")]
pub struct Push<'a> {
    /// Which language.
    pub language: Language,
    /// Whose page it is.
    pub organisation: &'a str,
}

/// The security key.
#[derive(Template)]
#[template(path = "gateway/key.html")]
pub struct Key<'a> {
    /// Which language.
    pub language: Language,
    /// Whose page it is.
    pub organisation: &'a str,
    /// Why it is shown again.
    pub complaint: Option<Complaint>,
    /// What the key is to sign, Base64url.
    pub challenge: &'a str,
    /// Which of its credentials is asked for, Base64url.
    pub credential: &'a str,
    /// The relying party.
    pub party: &'a str,
}

/// The desktop in the browser.
#[derive(Template)]
#[template(path = "gateway/desktop.html")]
pub struct DesktopPage<'a> {
    /// Which language.
    pub language: Language,
    /// Whose page it is.
    pub organisation: &'a str,
    /// The desktop's name.
    pub desktop: &'a str,
    /// What opens it, once.
    pub ticket: &'a str,
    /// Screen's width in pixels.
    pub width: u16,
    /// Screen's height in pixels.
    pub height: u16,
}

/// The published desktop.
#[derive(Template)]
#[template(path = "gateway/store.html")]
pub struct StorePage<'a> {
    /// Which language.
    pub language: Language,
    /// Whose page it is.
    pub organisation: &'a str,
    /// Who is signed in.
    pub account: &'a Account,
    /// What opens the desktop.
    pub open: &'a str,
}

/// Nothing to be had now.
#[derive(Template)]
#[template(path = "gateway/unavailable.html")]
pub struct Unavailable<'a> {
    /// Which language.
    pub language: Language,
    /// Whose page it is.
    pub organisation: &'a str,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn languages_by_weight() {
        for (header, language) in [
            ("fr-FR,fr;q=0.9,en;q=0.8", Language::French),
            ("en-GB,en;q=0.9,fr;q=0.8", Language::English),
            ("de, fr;q=0.3, en;q=0.2", Language::French),
            ("fr;q=0, en;q=0.1", Language::English),
            ("", Language::English),
            ("de;q=x,,;;", Language::English),
        ] {
            assert_eq!(Language::of_header(header), language, "{header}");
        }
    }

    #[test]
    fn names_are_escaped() {
        let account =
            Account { login: "x".into(), name: "<script>alert(1)</script>".into(), desktop: "a\"b&c".into(), ..Account::default() };
        let page = StorePage { language: Language::French, organisation: "A&B", account: &account, open: "/" }.render().unwrap();
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(page.contains("A&#38;B") || page.contains("A&amp;B"), "{page}");
    }
}
