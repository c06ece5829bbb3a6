//! Firefox' policies, Mozilla's own enterprise mechanism: what they lock, the user cannot change
//! (<https://mozilla.github.io/policy-templates/>). What has no policy is closed by AutoConfig, `files/terminal/usr/lib/firefox-esr`.

use livery_profile::{Desk, Kiosk};
use serde_json::{Value, json};

use super::{citrix, settings::certificate_path};

/// Of the session's browser: the profile's hosts, and nothing else.
pub(crate) fn session(desk: &Desk, kiosk: &Kiosk) -> Value {
    let exceptions: Vec<String> = kiosk.allowed_hosts.iter().map(|host| format!("https://{host}/*")).collect();
    let mut policies = closed(desk);
    let all = &mut policies["policies"];
    all["Homepage"] = json!({"URL": kiosk.url.as_str(), "Locked": true, "StartPage": "homepage-locked"});
    all["WebsiteFilter"] = json!({"Block": ["<all_urls>"], "Exceptions": exceptions});
    all["PrintingEnabled"] = json!(kiosk.printing);
    if desk.citrix.client.is_some() {
        all["Handlers"] = citrix::handlers();
    }
    policies
}

/// Of the browser for a network's own sign-in page, which may be anywhere on the web: it has nothing of a session.
pub(crate) fn portal(desk: &Desk) -> Value {
    let mut policies = closed(desk);
    policies["policies"]["WebsiteFilter"] = json!({"Block": ["file:///*"]});
    policies["policies"]["PrintingEnabled"] = json!(false);
    policies
}

/// What both have in common.
fn closed(desk: &Desk) -> Value {
    let mut all = ways_out();
    if let (Value::Object(all), Value::Object(more)) = (&mut all, quiet()) {
        all.extend(more);
    }
    let certificates: Vec<String> = desk.authorities.iter().map(certificate_path).collect();
    all["Certificates"] = json!({"Install": certificates});
    json!({"policies": all})
}

/// What leads out of the browser, into its inside, or leaves something behind.
fn ways_out() -> Value {
    json!({
        // No dialog that shows files: open, save, upload.
        "AllowFileSelectionDialogs": false,
        "AutofillAddressEnabled": false,
        "AutofillCreditCardEnabled": false,
        "BlockAboutAddons": true,
        "BlockAboutConfig": true,
        "BlockAboutProfiles": true,
        "BlockAboutSupport": true,
        // A document is a download, and there are none.
        "DisableBuiltinPDFViewer": true,
        "DisableDeveloperTools": true,
        "DisableFirefoxAccounts": true,
        "DisableFirefoxScreenshots": true,
        "DisableFormHistory": true,
        "DisableMasterPasswordCreation": true,
        "DisablePasswordReveal": true,
        "DisablePrivateBrowsing": true,
        "DisableProfileImport": true,
        "DisableProfileRefresh": true,
        "DisableSafeMode": true,
        "DisableSecurityBypass": {"InvalidCertificate": true, "SafeBrowsing": true},
        "DisableSetDesktopBackground": true,
        // Not by `ExtensionSettings`: blocking `*` takes the languages away, which are extensions too.
        "InstallAddonsPermission": {"Default": false},
        "OfferToSaveLogins": false,
        "PasswordManagerEnabled": false,
        "PictureInPicture": {"Enabled": false, "Locked": true},
    })
}

/// What a person is not to be bothered with, and what calls the browser's makers.
fn quiet() -> Value {
    json!({
        // Empty: Firefox follows the system's locale, which is the employee's.
        "RequestedLocales": "",
        "CaptivePortal": false,
        "DisableAppUpdate": true,
        "DisableFeedbackCommands": true,
        "DisableFirefoxStudies": true,
        "DisablePocket": true,
        "DisableTelemetry": true,
        "DisplayBookmarksToolbar": "never",
        "DisplayMenuBar": "never",
        "DNSOverHTTPS": {"Enabled": false, "Locked": true},
        "DontCheckDefaultBrowser": true,
        "ExtensionUpdate": false,
        "FirefoxHome": {"Search": false, "TopSites": false, "SponsoredTopSites": false, "Highlights": false, "Locked": true},
        "GenerativeAI": {"Enabled": false, "Locked": true},
        "NetworkPrediction": false,
        "NewTabPage": false,
        "NoDefaultBookmarks": true,
        "OverrideFirstRunPage": "",
        "OverridePostUpdatePage": "",
        "SearchSuggestEnabled": false,
        "SkipTermsOfUse": true,
        "TranslateEnabled": false,
        "UserMessaging": {"ExtensionRecommendations": false, "FeatureRecommendations": false, "SkipOnboarding": true, "MoreFromMozilla": false, "Locked": true},
    })
}
