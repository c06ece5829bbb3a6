//! The desk's texts in the employee's language, from the locale's variables; English where it is none of these.

use std::env;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    German,
    English,
    French,
    Dutch,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    /// No network.
    pub away: &'static str,
    /// By cable.
    pub wired: &'static str,
    /// By Wi-Fi.
    pub wireless: &'static str,
    /// A sign-in page of the network's own.
    pub portal: &'static str,
    /// How loud.
    pub sound: &'static str,
    /// No sound.
    pub mute: &'static str,
    /// The settings page.
    pub settings: &'static str,
    /// End the session.
    pub leave: &'static str,
    /// Asked once more.
    pub really: &'static str,
    /// No personal layer was applied.
    pub nobody: &'static str,
    /// A newer image is ready.
    pub newer: &'static str,
    /// And when it takes effect.
    pub restart: &'static str,
    /// Behind a number.
    pub percent: &'static str,
    /// Day and time, as `strftime` has it (CLDR's short formats).
    pub clock: &'static str,
}

impl Language {
    /// Of this process.
    pub(crate) fn here() -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(|name| env::var(name).ok());
        Self::of(&set.into_iter().find(|value| !value.is_empty()).unwrap_or_default())
    }

    fn of(locale: &str) -> Self {
        match locale.get(..2) {
            Some("de") => Self::German,
            Some("fr") => Self::French,
            Some("nl") => Self::Dutch,
            _ => Self::English,
        }
    }

    pub(crate) const fn words(self) -> Words {
        match self {
            Self::German => Words {
                away: "Kein Netzwerk",
                wired: "Kabel",
                wireless: "WLAN",
                portal: "Dieses Netzwerk verlangt eine Anmeldung",
                sound: "Ton",
                mute: "Ton aus",
                settings: "Einstellungen",
                leave: "Sitzung beenden",
                really: "Wirklich beenden?",
                nobody: "Persönliche Einstellungen fehlen – bitte die IT informieren",
                newer: "Ein Update steht bereit",
                restart: "Es wird beim nächsten Neustart aktiv. Bis dahin ändert sich nichts: Starten Sie neu, wann es Ihnen passt.",
                percent: "\u{a0}%",
                clock: "%d.%m.  %H:%M",
            },
            Self::English => Words {
                away: "No network",
                wired: "Cable",
                wireless: "Wi-Fi",
                portal: "This network requires a sign-in",
                sound: "Sound",
                mute: "Muted",
                settings: "Settings",
                leave: "End session",
                really: "End it now?",
                nobody: "Personal settings are missing – please tell IT",
                newer: "An update is ready",
                restart: "It takes effect at the next restart. Nothing changes until then: restart when it suits you.",
                percent: "%",
                clock: "%d/%m  %H:%M",
            },
            Self::French => Words {
                away: "Pas de réseau",
                wired: "Câble",
                wireless: "Wi-Fi",
                portal: "Ce réseau demande une identification",
                sound: "Son",
                mute: "Son coupé",
                settings: "Réglages",
                leave: "Fermer la session",
                really: "Terminer maintenant ?",
                nobody: "Réglages personnels absents – prévenez le service informatique",
                newer: "Une mise à jour est prête",
                restart: "Elle prendra effet au prochain redémarrage. Rien ne change d’ici là : redémarrez quand cela vous convient.",
                percent: "\u{a0}%",
                clock: "%d/%m  %H:%M",
            },
            Self::Dutch => Words {
                away: "Geen netwerk",
                wired: "Kabel",
                wireless: "Wifi",
                portal: "Dit netwerk vraagt om aanmelding",
                sound: "Geluid",
                mute: "Geluid uit",
                settings: "Instellingen",
                leave: "Sessie beëindigen",
                really: "Nu beëindigen?",
                nobody: "Persoonlijke instellingen ontbreken – meld dit bij de IT-afdeling",
                newer: "Er staat een update klaar",
                restart: "De update wordt actief bij de volgende herstart. Tot dan verandert er niets: herstart wanneer het u uitkomt.",
                percent: "%",
                clock: "%d-%m  %H:%M",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_by_locale() {
        for (locale, language) in [
            ("fr_BE.UTF-8", Language::French),
            ("nl_BE.UTF-8", Language::Dutch),
            ("de_DE", Language::German),
            ("en_GB.UTF-8", Language::English),
            ("C", Language::English),
            ("", Language::English),
        ] {
            assert_eq!(Language::of(locale), language, "{locale}");
        }
    }
}
