// Says that the page has been drawn: after everything has loaded, and two frames later, so that paint has happened.
"use strict";
addEventListener("load", () => requestAnimationFrame(() => requestAnimationFrame(() => {
  const query = new URLSearchParams({ page: location.pathname, w: innerWidth, h: innerHeight });
  fetch(`/standin/rendered?${query}`, { cache: "no-store", keepalive: true }).catch(() => {});
})));
