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

// The bar with keyboard, network and sound stays in sight while a page, such as a remote desktop, fills "the whole screen".
pref("full-screen-api.ignore-widgets", true);
pref("full-screen-api.warning.timeout", 0);

// Nothing is handed to another program but what a policy names (.ica files), and no picker of programs asks for one.
pref("network.protocol-handler.external-default", false);
pref("network.protocol-handler.warn-external-default", false);
pref("network.protocol-handler.external.mailto", false);
pref("network.protocol-handler.external.news", false);
pref("network.protocol-handler.external.nntp", false);
pref("network.protocol-handler.external.snews", false);
pref("network.protocol-handler.expose.mailto", false);
pref("browser.download.open_pdf_attachments_inline", false);
pref("browser.helperApps.showOpenOptionForPdfJS", false);
pref("devtools.jsonview.enabled", false);
pref("pdfjs.disabled", true);

// Addresses come from pages alone: not from the clipboard, not from what is let fall on the window.
pref("middlemouse.contentLoadURL", false);
pref("browser.tabs.searchclipboardfor.middleclick", false);
pref("browser.link.open_newwindow", 3);
pref("browser.link.open_newwindow.restriction", 0);
pref("browser.gesture.swipe.left", "");
pref("browser.gesture.swipe.right", "");
pref("ui.key.menuAccessKeyFocuses", false);

// The desk's own extension is part of the image; signatures are the image's.
pref("extensions.autoDisableScopes", 0);
pref("extensions.startupScanScopes", 8);
