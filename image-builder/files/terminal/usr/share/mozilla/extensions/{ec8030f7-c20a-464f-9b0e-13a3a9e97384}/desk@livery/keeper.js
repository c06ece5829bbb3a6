// What the other scripts share: what the link said of this desk, and the pages of our own. First of them.
"use strict";

const keeper = {
  // The link's hello; null before it.
  desk: null,
  // Whether there is a network, as NetworkManager says it; null before it is known.
  network: null,
  away: browser.runtime.getURL("away.html"),
  settings: browser.runtime.getURL("settings.html"),

  isOurs(url) {
    return url.startsWith(browser.runtime.getURL(""));
  },

  // Pages that belong to nobody: what Firefox shows of its own.
  isNobodys(url) {
    return !/^https?:/.test(url) && !keeper.isOurs(url);
  },

  async front() {
    const [tab] = await browser.tabs.query({ active: true, lastFocusedWindow: true });
    return tab ?? (await browser.tabs.query({ active: true }))[0];
  },

  go(tab, url) {
    return browser.tabs.update(tab.id, { url, loadReplace: true }).catch(() => {});
  },
};
