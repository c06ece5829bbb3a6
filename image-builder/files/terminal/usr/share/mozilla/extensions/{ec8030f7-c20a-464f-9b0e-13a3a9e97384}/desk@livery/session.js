// A session: where it begins, what belongs to it, when it is over.
"use strict";

const session = {
  over: false,

  async begin() {
    const tab = await keeper.front();
    if (tab) keeper.go(tab, (await away.answers()) ? keeper.desk.home : keeper.away);
  },

  // A page that may not be opened, or cannot be: there is no address bar to leave it by.
  async refused(details) {
    const tab = await browser.tabs.get(details.tabId).catch(() => null);
    if (!tab) return;
    const there = await away.answers();
    // A window that a page opened closes: the page is still there behind it.
    if (there && tab.openerTabId !== undefined) await browser.tabs.remove(tab.id).catch(() => {});
    else keeper.go(tab, there ? keeper.desk.home : keeper.away);
  },

  end(why) {
    if (session.over) return;
    session.over = true;
    link.say({ type: "end", why });
  },

  isSignOut(url) {
    const { origin, pathname } = new URL(url);
    const out = keeper.desk && new URL(keeper.desk["sign-out"]);
    return out && origin === out.origin && pathname === out.pathname;
  },

  // The last window was closed, by whatever means.
  noWindow() {
    session.end("left");
  },

  async settings() {
    const [open] = await browser.tabs.query({ url: keeper.settings });
    if (open) return browser.tabs.update(open.id, { active: true });
    return browser.tabs.create({ url: keeper.settings });
  },

  // The Gateway forgets the person too, where it can be told.
  async leave() {
    const quit = new AbortController();
    setTimeout(() => quit.abort(), 2500);
    await fetch(keeper.desk["sign-out"], { credentials: "include", cache: "no-store", redirect: "manual", signal: quit.signal }).catch(() => {});
    session.end("left");
  },
};

link.on.settings = () => session.settings();
link.on.leave = () => session.leave();

// The answer to a sign-out is there: the Gateway has forgotten the person, now this browser does.
browser.webRequest.onHeadersReceived.addListener(
  ({ url }) => {
    if (session.isSignOut(url)) session.end("signed-out");
  },
  { urls: ["<all_urls>"], types: ["main_frame", "sub_frame"] },
);

// A new tab that no page opened, by whatever means.
browser.tabs.onCreated.addListener((tab) => {
  const ours = keeper.isOurs(tab.url ?? "") || keeper.isOurs(tab.pendingUrl ?? "");
  if (tab.openerTabId === undefined && !ours && /^about:(newtab|home|privatebrowsing)/.test(tab.url ?? "")) {
    browser.tabs.remove(tab.id).catch(() => {});
  }
});

// Firefox' own pages are no place to be, but for the empty one that everything begins with.
browser.webNavigation.onCommitted.addListener(async ({ tabId, frameId, url }) => {
  if (frameId !== 0 || !keeper.desk || url === "about:blank" || !keeper.isNobodys(url)) return;
  const tab = await browser.tabs.get(tabId).catch(() => null);
  if (tab) keeper.go(tab, keeper.desk.home);
});
