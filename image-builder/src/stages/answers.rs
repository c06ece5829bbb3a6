//! Answers to the questions that packages' installers ask.

use livery_profile::{CLIENT_PACKAGE, Profile};

/// Those of Citrix's client, as `debconf-set-selections` reads them; none without it.
pub(crate) fn citrix(profile: &Profile) -> Vec<String> {
    let client = profile.desk().and_then(|desk| desk.citrix.client.as_ref());
    let answer = |question: &str, yes: bool| format!("{CLIENT_PACKAGE} {question} select {}", if yes { "yes" } else { "no" });
    client.map_or_else(Vec::new, |client| {
        vec![
            answer("app_protection/install_app_protection", client.app_protection),
            answer("devicetrust/install_devicetrust", client.device_trust),
            answer("epa/install_epa", client.endpoint_analysis),
        ]
    })
}
