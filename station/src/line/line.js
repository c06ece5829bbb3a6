'use strict';
// Keeps the page up to date. The station draws every picture as HTML, words and figures included; this script fetches the next one
// and moves what differs into the page. XMLHttpRequest parses it into a document of its own, in which no script runs.
const byId = (id) => document.getElementById(id);
const BEAT = 4000;             // the station announces a picture at least this often (ms)
const LOST = 3 * BEAT + 1000;  // after this long without one, the picture counts as old
const POLL = 5000;
const PARTS = ['orders', 'clock', 'n-failed', 'n-waiting', 'n-working', 'n-done', 'empty'];
const buttons = document.querySelectorAll('[data-only]');

let lastHeard = Date.now(), lastAsked = 0, source = null, asked = false, again = false;

// Makes one node like another and touches only what differs: focus, scrolling and a bar's movement stay.
function update(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName) { old.replaceWith(document.importNode(fresh, true)); return; }
  if (old.nodeType === Node.TEXT_NODE) { old.data = fresh.data; return; }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const had = [...old.childNodes], wants = [...fresh.childNodes];
  wants.forEach((node, at) => { if (at < had.length) update(had[at], node); else old.append(document.importNode(node, true)); });
  had.slice(wants.length).forEach((node) => node.remove());
}

// Rows are matched by their device; gives what is to be announced.
function updateRows(body, fresh) {
  const said = [];
  for (const row of [...body.children]) if (!fresh.querySelector(`#${CSS.escape(row.id)}`)) row.remove();
  let place = body.firstElementChild;
  for (const row of fresh.children) {
    const known = byId(row.id);
    const news = known ? known.dataset.stage !== row.dataset.stage : row.dataset.in !== 'working';
    if (news) said.push(row.querySelector('.say').textContent);
    if (!known) { body.insertBefore(document.importNode(row, true), place); continue; }
    update(known, row);
    if (known === place) place = place.nextElementSibling;
    else body.insertBefore(known, place);
  }
  return said;
}

function filter(only) {
  if (only) byId('main').dataset.only = only;
  else delete byId('main').dataset.only;
  for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset.only === only));
  const rows = byId('rows');
  byId('none').hidden = !only || !rows.children.length || rows.querySelector(`[data-in="${only}"]`) !== null;
}

function link(state) {
  document.body.dataset.link = state;
  byId('link').dataset.link = state;
  const lost = byId('lost');
  // The clock stands still at the last picture.
  const text = state === 'lost' ? lost.dataset.words.replace('{clock}', byId('clock').textContent) : '';
  if (lost.textContent !== text) lost.textContent = text;
}

function show(picture) {
  for (const id of PARTS) update(byId(id), picture.getElementById(id));
  const said = updateRows(byId('rows'), picture.getElementById('rows'));
  filter(byId('main').dataset.only);
  if (said.length) byId('said').textContent = said.slice(0, 5).join('. ');
  lastHeard = Date.now();
  link('live');
}

// One question at a time; what changes meanwhile is asked for afterwards.
function ask() {
  if (asked) { again = true; return; }
  asked = true;
  lastAsked = Date.now();
  const request = new XMLHttpRequest();
  request.open('GET', '/line/picture');
  request.responseType = 'document';
  request.timeout = POLL;
  request.onloadend = () => {
    asked = false;
    // Whatever went wrong shows as a lost station, once it has lasted long enough.
    if (request.status === 200 && request.response && request.response.getElementById('rows')) show(request.response);
    if (again) { again = false; ask(); }
  };
  request.send();
}

function listen() {
  if (source) source.close();
  source = new EventSource('/line/changes');
  source.addEventListener('picture', ask);
}

// Some proxies hold event streams back, and a stream that broke takes a while to be set up again: then ask without it.
function tick() {
  const silent = Date.now() - lastHeard;
  if (silent > LOST) link('lost');
  if (silent > LOST - BEAT && Date.now() - lastAsked > POLL) {
    ask();
    if (source.readyState === EventSource.CLOSED) listen();
  }
}

for (const button of buttons) {
  button.disabled = false;
  button.addEventListener('click', () => filter(byId('main').dataset.only === button.dataset.only ? undefined : button.dataset.only));
}
if (document.body.dataset.link !== 'lost') link('wait');
listen();
ask();
setInterval(tick, 1000);
