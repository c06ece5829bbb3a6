// No download stays: it is cancelled, and what of it was written is removed. Where the device has Citrix's client, .ica files are
// handed to that by the browser itself (policy `Handlers`).
"use strict";

browser.downloads.onCreated.addListener(async (item) => {
  if (keeper.desk?.client && /\.ica$/i.test(item.filename)) return;
  await browser.downloads.cancel(item.id).catch(() => {});
  await browser.downloads.removeFile(item.id).catch(() => {});
  await browser.downloads.erase({ id: item.id }).catch(() => {});
});
