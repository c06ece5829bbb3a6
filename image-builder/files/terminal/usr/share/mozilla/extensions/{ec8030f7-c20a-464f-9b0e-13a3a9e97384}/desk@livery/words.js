// The page's texts, in the browser's language, which is the employee's.
"use strict";

document.documentElement.lang = browser.i18n.getUILanguage();
for (const place of document.querySelectorAll("[data-word]")) place.textContent = browser.i18n.getMessage(place.dataset.word);
