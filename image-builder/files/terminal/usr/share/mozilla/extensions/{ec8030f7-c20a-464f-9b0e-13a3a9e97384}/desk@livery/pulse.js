// The heartbeat: as long as this script runs and the page in front answers, livery-desk is told so each second. A page that does
// not answer for too long ends the session: nobody can do anything with it.
"use strict";

const pulse = { since: null };

setInterval(async () => {
  link.say({ type: "beat" });
  const tab = await keeper.front();
  if (!tab) return session.noWindow();
  // What is on its way, or is a page of Firefox' or our own, has no script of ours that could answer.
  if (tab.status !== "complete" || !/^https?:/.test(tab.url)) {
    pulse.since = null;
    return undefined;
  }
  pulse.since ??= Date.now();
  browser.tabs.sendMessage(tab.id, { type: "pulse" }, { frameId: 0 }).then(
    () => (pulse.since = null),
    () => {},
  );
  if (Date.now() - pulse.since > keeper.desk.patience) link.say({ type: "end", why: "hung" });
  return undefined;
}, 1000);
