// The way to livery-desk: messages to it, and what each of its messages does. When it breaks, heartbeats end, and systemd ends
// this browser.
"use strict";

const link = {
  port: browser.runtime.connectNative("livery"),
  on: {},
  questions: new Map(),
  last: 0,

  say(message) {
    link.port.postMessage(message);
  },

  // For what has an answer: the settings page's questions.
  ask(message) {
    const id = (link.last = (link.last + 1) % 1e9);
    return new Promise((answer) => {
      link.questions.set(id, answer);
      link.say({ ...message, id });
    });
  },
};

link.port.onMessage.addListener((message) => {
  const answer = link.questions.get(message.id);
  if (answer) {
    link.questions.delete(message.id);
    answer(message);
  } else {
    link.on[message.type]?.(message);
  }
});

link.on.hello = (message) => {
  keeper.desk = message;
  session.begin();
};

// Only pages of our own can send these: a content script's sender is the page that it is in.
browser.runtime.onMessage.addListener((message, sender) => {
  if (!keeper.isOurs(sender.url ?? "")) return undefined;
  switch (message.type) {
    case "networks":
      return link.ask({ type: "networks" });
    case "join":
      return link.ask({ type: "join", ssid: String(message.ssid), password: String(message.password) });
    case "home":
      return away.recover(sender.tab);
    default:
      return undefined;
  }
});
