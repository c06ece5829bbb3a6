//! A terminal's browser and screen: Firefox ESR alone under cage, on the Citrix store's page, closed to all else.
//!
//! Policies are Mozilla's own enterprise mechanism; what they lock, the user cannot change.

use livery_contract::Result;
use serde_json::{Value, json};

use super::settings::{Furnish, TERMINAL, certificate_path};
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
    furnish.file("etc/firefox/policies/policies.json", policies + "\n")?;
    furnish.file("etc/firefox-esr/livery.js", PREFERENCES)
}

/// The service. The URL is an argument of `ExecStart=`, where `%` would begin a specifier and `$` a variable.
fn unit(kiosk: &Kiosk) -> String {
    let url = kiosk.url.as_str().replace('%', "%%").replace('$', "$$");
    format!(
        "[Unit]\n\
         Description=Kiosk\n\
         Wants=seatd.service\n\
         After=seatd.service systemd-udev-trigger.service systemd-resolved.service\n\
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
    json!({"policies": {
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
        "DisableFirefoxStudies": true,
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
    }})
}

/// Preferences that no policy sets: no calls to the makers' services from a closed network, and no animations. While a
/// page loads, Firefox animates the (hidden) tab at 60 frames a second; where one frame takes longer than that, as on a
/// processor without a GPU to help, frames starve the loading and the page may never appear.
const PREFERENCES: &str = r#"pref("intl.locale.requested", "");
pref("app.normandy.enabled", false);
pref("browser.aboutwelcome.enabled", false);
pref("browser.cache.disk.enable", false);
pref("browser.region.update.enabled", false);
pref("browser.safebrowsing.downloads.enabled", false);
pref("browser.safebrowsing.malware.enabled", false);
pref("browser.safebrowsing.phishing.enabled", false);
pref("browser.search.update", false);
pref("browser.sessionstore.resume_from_crash", false);
pref("browser.startup.homepage_override.mstone", "ignore");
pref("datareporting.healthreport.uploadEnabled", false);
pref("datareporting.policy.dataSubmissionEnabled", false);
pref("extensions.getAddons.cache.enabled", false);
pref("extensions.systemAddon.update.enabled", false);
pref("geo.enabled", false);
pref("media.gmp-manager.updateEnabled", false);
pref("network.connectivity-service.enabled", false);
pref("services.settings.poll_interval", 31536000);
pref("services.settings.server", "data:,");
pref("toolkit.telemetry.enabled", false);
pref("toolkit.telemetry.unified", false);
pref("ui.prefersReducedMotion", 1);
"#;

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
