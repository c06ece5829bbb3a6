//! A terminal's browser and screen: Firefox ESR alone under cage, on the Citrix store's page, closed to all else.
//!
//! Policies are Mozilla's own enterprise mechanism; what they lock, the user cannot change.

use livery_contract::Result;
use serde_json::{Value, json};

use super::{
    citrix,
    settings::{Furnish, TERMINAL, certificate_path},
};
use crate::profile::{Desk, Kiosk};

/// Units that a terminal starts.
pub const UNITS: [&str; 5] =
    ["livery-kiosk.service", "seatd.service", "systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service"];

/// Writes the kiosk's files.
///
/// # Errors
/// Exit 1 where something can't be written.
pub fn furnish(furnish: &Furnish, desk: &Desk, kiosk: &Kiosk) -> Result<()> {
    furnish.lay(&TERMINAL)?;
    furnish.file("usr/lib/systemd/system/livery-kiosk.service", unit(kiosk))?;
    let policies = serde_json::to_string_pretty(&policies(desk, kiosk)).unwrap_or_default();
    furnish.file("etc/firefox/policies/policies.json", policies + "\n")
}

/// The service. The URL is an argument of `ExecStart=`, where `%` would begin a specifier and `$` a variable.
fn unit(kiosk: &Kiosk) -> String {
    let url = kiosk.url.as_str().replace('%', "%%").replace('$', "$$");
    format!(
        "[Unit]\n\
         Description=Kiosk\n\
         Wants=seatd.service network-online.target\n\
         After=seatd.service network-online.target systemd-udev-trigger.service systemd-resolved.service\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         User=kiosk\n\
         RuntimeDirectory=kiosk\n\
         RuntimeDirectoryMode=0700\n\
         EnvironmentFile=-/etc/locale.conf\n\
         EnvironmentFile=-/etc/livery/keyboard.env\n\
         Environment=HOME=/run/kiosk XDG_RUNTIME_DIR=/run/kiosk LIBSEAT_BACKEND=seatd\n\
         Environment=MOZ_ENABLE_WAYLAND=1 GDK_BACKEND=wayland MOZ_CRASHREPORTER_DISABLE=1 NO_AT_BRIDGE=1 GSETTINGS_BACKEND=memory\n\
         ExecStart=/usr/lib/livery/kiosk {url}\n\
         Restart=always\n\
         RestartSec=1\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    )
}

/// `policies.json`: <https://mozilla.github.io/policy-templates/>.
fn policies(desk: &Desk, kiosk: &Kiosk) -> Value {
    let exceptions: Vec<String> = kiosk.allowed_hosts.iter().map(|host| format!("https://{host}/*")).collect();
    let certificates: Vec<String> = desk.authorities.iter().map(certificate_path).collect();
    let mut policies = json!({"policies": {
        "Homepage": {"URL": kiosk.url.as_str(), "Locked": true, "StartPage": "homepage-locked"},
        "WebsiteFilter": {"Block": ["<all_urls>"], "Exceptions": exceptions},
        "Certificates": {"Install": certificates},
        // Empty: Firefox follows the system's locale, which is the employee's.
        "RequestedLocales": "",
        "BlockAboutAddons": true,
        "BlockAboutConfig": true,
        "BlockAboutProfiles": true,
        "BlockAboutSupport": true,
        "CaptivePortal": false,
        "DisableAppUpdate": true,
        "DisableDeveloperTools": true,
        "DisableFeedbackCommands": true,
        "DisableFirefoxAccounts": true,
        "DisableFirefoxScreenshots": true,
        "DisableFirefoxStudies": true,
        "DisablePocket": true,
        "DisablePrivateBrowsing": true,
        "DisableSetDesktopBackground": true,
        "DisableTelemetry": true,
        "DNSOverHTTPS": {"Enabled": false, "Locked": true},
        "DontCheckDefaultBrowser": true,
        "ExtensionUpdate": false,
        "FirefoxHome": {"Search": false, "TopSites": false, "SponsoredTopSites": false, "Highlights": false, "Locked": true},
        "InstallAddonsPermission": {"Default": false},
        "NetworkPrediction": false,
        "NoDefaultBookmarks": true,
        "OfferToSaveLogins": false,
        "OverrideFirstRunPage": "",
        "OverridePostUpdatePage": "",
        "PasswordManagerEnabled": false,
        "SearchSuggestEnabled": false,
        "SkipTermsOfUse": true,
        "UserMessaging": {"ExtensionRecommendations": false, "FeatureRecommendations": false, "SkipOnboarding": true, "MoreFromMozilla": false, "Locked": true},
    }});
    if desk.citrix.client.is_some() {
        policies["policies"]["Handlers"] = citrix::handlers();
    }
    policies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_reaches_the_browser_as_it_is() {
        let kiosk =
            Kiosk { browser: "firefox-esr".into(), url: "https://a.example/x%20y?$z".parse().unwrap(), allowed_hosts: Vec::new() };
        assert!(unit(&kiosk).contains("ExecStart=/usr/lib/livery/kiosk https://a.example/x%%20y?$$z\n"));
    }
}
