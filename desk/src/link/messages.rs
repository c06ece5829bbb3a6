//! What extension and link say to each other, as JSON. What comes from the extension is parsed as strictly as if a page had sent it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    network::{State, wifi::Network},
    settings::Settings,
};

/// From the extension.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum From {
    /// Browser and page answer.
    Beat {},
    /// The session is over.
    End { why: Why },
    /// Which networks are in reach?
    Networks {
        /// Stands in the answer too.
        id: u32,
    },
    /// Connect to this one.
    Join {
        /// Stands in the answer too.
        id: u32,
        /// The network's name.
        ssid: String,
        /// Empty for a network without.
        password: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Why {
    /// The person signed out at the Gateway.
    SignedOut,
    /// Somebody asked for it at the bar, or nobody was there.
    Left,
    /// The page does not answer any more.
    Hung,
}

impl Why {
    /// For the journal.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::SignedOut => "signed out",
            Self::Left => "left",
            Self::Hung => "the page does not respond",
        }
    }
}

/// To the extension.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub(crate) enum To {
    /// First of all.
    Hello {
        /// The page that a session begins with.
        home: Url,
        /// Where one signs out.
        sign_out: Url,
        /// Whether `.ica` files are kept.
        client: bool,
        /// How long a page may take to answer, in milliseconds.
        patience: u64,
    },
    /// The network's state, at first and when it changes.
    Network {
        state: State,
    },
    Settings,
    /// Sign out if that works, then say [`From::End`].
    Leave,
    /// Networks in reach; none at all without an adapter.
    Networks {
        /// The question's.
        id: u32,
        networks: Option<Vec<Network>>,
    },
    /// What came of joining.
    Joined {
        /// The question's.
        id: u32,
        /// Whether it is connected now.
        joined: bool,
    },
}

impl To {
    /// What the extension needs to know.
    pub(crate) fn hello(settings: &Settings, patience: Duration) -> Self {
        let Settings { home, sign_out, client } = settings.clone();
        Self::Hello { home, sign_out, client, patience: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_messages_are_taken() {
        let of = |text: &str| serde_json::from_str::<From>(text);
        assert_eq!(of(r#"{"type":"beat"}"#).unwrap(), From::Beat {});
        assert_eq!(of(r#"{"type":"end","why":"signed-out"}"#).unwrap(), From::End { why: Why::SignedOut });
        for bad in [r#"{"type":"beat","x":1}"#, r#"{"type":"end","why":"because"}"#, r#"{"type":"shell"}"#, "[]"] {
            assert!(of(bad).is_err(), "{bad}");
        }
        let settings = Settings {
            home: "https://g.example/".parse().unwrap(),
            sign_out: "https://g.example/out".parse().unwrap(),
            client: true,
        };
        assert_eq!(
            serde_json::to_string(&To::hello(&settings, Duration::from_secs(5))).unwrap(),
            r#"{"type":"hello","home":"https://g.example/","sign-out":"https://g.example/out","client":true,"patience":5000}"#
        );
        assert_eq!(serde_json::to_string(&To::Network { state: State::Away }).unwrap(), r#"{"type":"network","state":"away"}"#);
    }
}
