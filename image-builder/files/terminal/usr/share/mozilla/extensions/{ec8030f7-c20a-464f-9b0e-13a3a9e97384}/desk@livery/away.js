// The network away and back. A page that cannot be loaded makes room for one that says so, waits, and goes on by itself. A page
// that is there stays, under a curtain: what a person was doing is not lost by a short break.
"use strict";

const away = {
  // Milliseconds that the Gateway has for an answer: short, so that a network that comes is noticed, and longer each time that it was
  // too short, for a network or a device that is slow.
  patience: 3000,

  // A question to the Gateway, without cookies: whether anything answers at all.
  async answers() {
    const quit = new AbortController();
    const timer = setTimeout(() => quit.abort(), away.patience);
    try {
      await fetch(keeper.desk.home, { cache: "no-store", credentials: "omit", redirect: "manual", signal: quit.signal });
      away.patience = 3000;
      return true;
    } catch {
      if (quit.signal.aborted) away.patience = Math.min(2 * away.patience, 24000);
      return false;
    } finally {
      clearTimeout(timer);
    }
  },

  // From the waiting page: on to the sign-in page as soon as it can be reached.
  async recover(tab) {
    const there = keeper.desk !== null && (await away.answers());
    if (there) await keeper.go(tab, keeper.desk.home);
    return { there, network: keeper.network };
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
