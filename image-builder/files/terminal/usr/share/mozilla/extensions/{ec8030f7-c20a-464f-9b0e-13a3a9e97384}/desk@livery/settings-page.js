// The settings: Wi-Fi, and nothing else. Keyboard and sound are changed in the status bar, where they are always in sight. Networks'
// names come from strangers: they are only ever text.
"use strict";

const part = (id) => document.getElementById(id);
const word = (name) => browser.i18n.getMessage(name);
let chosen = null;

// What can be done now: a screen reader says it first.
const entitle = (text) => (document.title = `Livery: ${text}`);

async function show() {
  const { networks } = await browser.runtime.sendMessage({ type: "networks" });
  part("none").hidden = networks !== null;
  // Drawn anew, the list keeps the place that the keyboard was at.
  const at = document.activeElement?.dataset.ssid;
  if (networks === null) entitle(word("noWifi"));
  else if (networks.length && !part("said").textContent) entitle(word("network"));
  part("networks").replaceChildren(...(networks ?? []).map(row));
  if (at !== undefined) document.querySelector(`[data-ssid=${CSS.escape(at)}]`)?.focus();
}

function row(network) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.ssid = network.ssid;
  button.disabled = network.active || network.security === "other";
  const mark = network.active ? ` — ${word("connected")}` : network.security === "other" ? ` — ${word("notHere")}` : "";
  button.textContent = `${network.ssid}  ${network.strength} %${mark}`;
  button.addEventListener("click", () => choose(network));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function choose(network) {
  chosen = network;
  part("which").textContent = network.ssid;
  part("password").value = "";
  part("join").hidden = network.security === "open";
  if (network.security === "open") join();
  else {
    entitle(`${word("password")} ${network.ssid}`);
    part("password").focus();
  }
}

function say(what) {
  part("said").textContent = what;
  entitle(what);
}

async function join() {
  say(word("connecting"));
  const password = part("password").value;
  part("password").value = "";
  const { joined } = await browser.runtime.sendMessage({ type: "join", ssid: chosen.ssid, password });
  part("join").hidden = joined;
  say(word(joined ? "joined" : "refused"));
  show();
}

part("join").addEventListener("submit", (event) => {
  event.preventDefault();
  join();
});

part("close").addEventListener("click", async () => {
  const tab = await browser.tabs.getCurrent();
  const all = await browser.tabs.query({});
  // The last tab is the window: it goes home instead.
  if (all.length > 1) browser.tabs.remove(tab.id);
  else location.replace("away.html");
});

show();
setInterval(() => part("join").hidden && show(), 5000);
