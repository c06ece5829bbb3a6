// In each page: answers the pulse, and draws the curtain while the network is away. Knows nothing that the page must not know.
"use strict";

let curtain = null;

browser.runtime.onMessage.addListener((message) => {
  if (message.type === "pulse") return Promise.resolve(true);
  if (message.type !== "curtain") return undefined;
  curtain?.remove();
  curtain = null;
  if (message.drawn && document.documentElement) {
    curtain = document.createElement("div");
    const root = curtain.attachShadow({ mode: "closed" });
    const cloth = document.createElement("div");
    cloth.setAttribute("role", "alert");
    cloth.textContent = message.text;
    // By properties: the page's policy may forbid styles as text.
    Object.assign(cloth.style, {
      position: "fixed", inset: "0", zIndex: "2147483647", display: "grid", placeItems: "center",
      background: "rgba(18, 53, 91, 0.92)", color: "#ffffff", font: "28px sans-serif", textAlign: "center",
    });
    root.append(cloth);
    document.documentElement.append(curtain);
  }
  return undefined;
});
