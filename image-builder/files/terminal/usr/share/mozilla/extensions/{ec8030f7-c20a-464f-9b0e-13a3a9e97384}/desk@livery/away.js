// The network away and back. A page that cannot be loaded makes room for one that says so, waits, and goes on by itself. A page
// that is there stays, under a curtain: what a person was doing is not lost by a short break.
"use strict";

const away = {
  // A question to the Gateway, without cookies: whether anything answers at all.
  async answers() {
    const quit = new AbortController();
    const timer = setTimeout(() => quit.abort(), 3000);
    try {
      await fetch(keeper.desk.home, { cache: "no-store", credentials: "omit", redirect: "manual", signal: quit.signal });
      return true;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  },

  // From the waiting page: on to the sign-in page as soon as it can be reached.
  async recover(tab) {
    if (keeper.desk && (await away.answers())) {
      await keeper.go(tab, keeper.desk.home);
      return true;
    }
    return false;
  },

  async curtain() {
    const drawn = keeper.network === "away";
    for (const tab of await browser.tabs.query({ url: ["http://*/*", "https://*/*"] })) {
      const text = browser.i18n.getMessage("waiting");
      browser.tabs.sendMessage(tab.id, { type: "curtain", drawn, text }, { frameId: 0 }).catch(() => {});
    }
  },
};

link.on.network = ({ state }) => {
  keeper.network = state;
  away.curtain();
};

browser.webNavigation.onErrorOccurred.addListener((details) => {
  // A load that another one took the place of, or that turned out to be a download, leaves the page as it was.
  const passing = ["NS_BINDING_ABORTED", "Error code 2152398850"].includes(details.error);
  if (details.frameId === 0 && !passing && keeper.desk) session.refused(details);
});
