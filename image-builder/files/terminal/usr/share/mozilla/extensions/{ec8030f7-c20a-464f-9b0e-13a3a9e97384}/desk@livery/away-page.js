// The waiting page: asks every two seconds whether the Gateway can be reached, and says whose fault it is: the network's, or the
// Gateway's alone, where nobody at home can do anything.
"use strict";

const say = (place, word) => (document.querySelector(`[data-word=${place}]`).textContent = browser.i18n.getMessage(word));

async function ask() {
  const answer = await browser.runtime.sendMessage({ type: "home" }).catch(() => null);
  if (answer?.there) return;
  const connected = ["wired", "wireless"].includes(answer?.network);
  say("away", connected ? "silent" : "away");
  say("waiting", connected ? "patience" : "waiting");
  document.title = `Livery: ${browser.i18n.getMessage(connected ? "silent" : "away")}`;
  setTimeout(ask, 2000);
}

ask();
