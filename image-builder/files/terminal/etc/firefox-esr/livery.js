// The browser's preferences that no policy sets. Policies lock what users must not change; these keep a closed browser
// from calling its makers' services and from drawing more than it must.

// While a page loads, the (hidden) tab's loading animation redraws the whole window 60 times a second: a sixth of a
// desktop processor's core, more than a small one without a GPU has. Measured: 0.8 s of processor time in 8 s, 0.1 s without.
pref("ui.prefersReducedMotion", 1);

pref("app.normandy.enabled", false);
pref("browser.aboutwelcome.enabled", false);
pref("browser.backup.scheduled.enabled", false);
pref("browser.bookmarks.max_backups", 0);
pref("browser.cache.disk.enable", false);
pref("browser.discovery.enabled", false);
pref("browser.ipProtection.enabled", false);
pref("browser.ml.enable", false);
pref("browser.newtab.preload", false);
pref("browser.newtabpage.activity-stream.asrouter.providers.cfr", "null");
pref("browser.newtabpage.activity-stream.asrouter.providers.message-groups", "null");
pref("browser.newtabpage.activity-stream.asrouter.providers.messaging-experiments", "null");
pref("browser.newtabpage.activity-stream.feeds.section.topstories", false);
pref("browser.newtabpage.activity-stream.feeds.system.topstories", false);
pref("browser.newtabpage.activity-stream.feeds.topsites", false);
pref("browser.newtabpage.enabled", false);
pref("browser.pagethumbnails.capturing_disabled", true);
pref("browser.profiles.enabled", false);
pref("browser.region.update.enabled", false);
pref("browser.safebrowsing.downloads.enabled", false);
pref("browser.safebrowsing.malware.enabled", false);
pref("browser.safebrowsing.phishing.enabled", false);
pref("browser.search.update", false);
pref("browser.sessionstore.interval", 600000);
pref("browser.sessionstore.resume_from_crash", false);
pref("browser.startup.homepage_override.mstone", "ignore");
pref("browser.translations.enable", false);
pref("browser.uitour.enabled", false);
pref("browser.urlbar.quicksuggest.enabled", false);
pref("datareporting.healthreport.uploadEnabled", false);
pref("datareporting.policy.dataSubmissionEnabled", false);
pref("dom.ipc.processPrelaunch.enabled", false);
pref("dom.push.connection.enabled", false);
pref("extensions.formautofill.addresses.enabled", false);
pref("extensions.formautofill.creditCards.enabled", false);
pref("extensions.getAddons.cache.enabled", false);
pref("extensions.systemAddon.update.enabled", false);
pref("geo.enabled", false);
pref("identity.fxaccounts.enabled", false);
pref("intl.locale.requested", "");
pref("media.gmp-provider.enabled", false);
pref("messaging-system.rsexperimentloader.enabled", false);
pref("network.captive-portal-service.enabled", false);
pref("network.connectivity-service.enabled", false);
pref("nimbus.rollouts.enabled", false);
pref("places.history.enabled", false);
pref("screenshots.browser.component.enabled", false);
pref("services.settings.poll_interval", 31536000);
pref("signon.management.page.breach-alerts.enabled", false);
pref("signon.rememberSignons", false);
pref("toolkit.telemetry.enabled", false);
pref("toolkit.telemetry.unified", false);
