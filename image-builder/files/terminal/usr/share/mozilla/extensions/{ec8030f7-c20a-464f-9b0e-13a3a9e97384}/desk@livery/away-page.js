// The waiting page: asks every two seconds whether the Gateway can be reached.
"use strict";

async function ask() {
  if (!(await browser.runtime.sendMessage({ type: "home" }).catch(() => false))) setTimeout(ask, 2000);
}

ask();
