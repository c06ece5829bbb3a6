// The settings: Wi-Fi, and nothing else. Keyboard and sound are changed in the status bar, where they are always in sight. Networks'
// names come from strangers: they are only ever text.
"use strict";

const part = (id) => document.getElementById(id);
const word = (name) => browser.i18n.getMessage(name);
let networks = [];
let chosen = null;

// The title is what can be done now: a screen reader says it first. An answer may come late, so it follows from what the page shows.
function entitle() {
  const text = part("said").textContent
    || (!part("join").hidden && `${word("password")} ${chosen.ssid}`)
    || (networks === null && word("noWifi"))
    || (networks.length && word("network"));
  if (text) document.title = `Livery: ${text}`;
}

async function show() {
  ({ networks } = await browser.runtime.sendMessage({ type: "networks" }));
  part("none").hidden = networks !== null;
  // Drawn anew, the list keeps the place that the keyboard was at.
  const at = document.activeElement?.dataset.ssid;
  part("networks").replaceChildren(...(networks ?? []).map(row));
  if (at !== undefined) document.querySelector(`[data-ssid=${CSS.escape(at)}]`)?.focus();
  entitle();
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
  say("");
  if (network.security === "open") join();
  else part("password").focus();
}

function say(what) {
  part("said").textContent = what;
  entitle();
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
