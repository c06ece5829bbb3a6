'use strict';
// Everything that comes from the station was once typed by people or sent by devices: it is put in as text, never as markup.
const byId = (id) => document.getElementById(id);
const BEAT = 4000;             // the station sends a picture at least so often (ms)
const LOST = 3 * BEAT + 1000;  // after so long without one, the picture is old
const POLL = 5000;

const PHASES = {
  inventory: 'Looking', enrol: 'Job given', waiting: 'Waiting', trust: 'Checking image', target: 'Choosing disk',
  write: 'Writing', verify: 'Reading back', finish: 'Boot entry', report: 'Sending record', done: 'Done', failed: 'Failed',
};
const STEPS = ['trust', 'target', 'write', 'verify', 'finish', 'report'];
const WORDS = { failed: 'FAILED', waiting: 'WAITING', working: 'AT WORK', done: 'SHIP' };

const USE = { 'in-use': 'IN USE', amiss: 'LOOK' };

const rows = new Map();   // id -> what was shown
let only = null, latest = null, lastHeard = 0, lostSince = null, offset = 0, source = null;

function node(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined && text !== null) element.textContent = text;
  return element;
}

function bytes(count) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1000; unit += 1; }
  return `${count.toFixed(unit > 2 && count < 100 ? 1 : 0)} ${units[unit]}`;
}

// "1.8 of 2.7 GB": both in the unit of the whole.
function amount(done, total) {
  const [whole, unit] = bytes(total).split(' ');
  const part = done / 1000 ** ['B', 'kB', 'MB', 'GB', 'TB'].indexOf(unit);
  return `${part.toFixed(whole.includes('.') ? 1 : 0)} of ${whole} ${unit}`;
}

function span(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5940) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

const clock = (time) => new Date(time).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
const stationNow = () => Date.now() + offset;

function deviceCell(row) {
  const cell = node('td');
  cell.append(node('div', 'main', row.serial || 'no serial'), node('div', 'sub', row.product || 'unknown product'));
  if (row.state === 'waiting' || !row.serial) cell.append(node('div', 'sub', row.macs.slice(0, 2).join('  ')));
  return cell;
}

function orderCell(row) {
  const cell = node('td');
  if (row.order) cell.append(node('div', 'main', row.name), node('div', 'sub', `${row.order} · ${row.hostname}`));
  else cell.append(node('div', 'sub', 'no order'));
  return cell;
}

function reasonCell(row) {
  const cell = node('td');
  cell.colSpan = 3;
  if (row.state === 'failed' && row.phase) cell.append(node('div', 'sub', `while: ${(PHASES[row.phase] || row.phase).toLowerCase()}`));
  cell.append(node('div', 'why', row.reason || 'no reason was given'));
  if (row.fix) cell.append(node('div', 'fix', row.fix));
  if (row.place) cell.append(node('div', 'place', row.place));
  return cell;
}

function stepCell(row) {
  const cell = node('td');
  cell.append(node('div', 'main', PHASES[row.phase] || row.phase || ''));
  const steps = node('div', 'steps');
  steps.setAttribute('aria-hidden', 'true');
  const at = row.state === 'done' ? STEPS.length : STEPS.indexOf(row.phase);
  for (let step = 0; step < STEPS.length; step += 1) steps.append(node('i', step < at ? 'past' : step === at ? 'now' : ''));
  cell.append(steps);
  return cell;
}

function progressCell(row) {
  const cell = node('td');
  if (!row.total) { cell.append(node('div', 'sub', '')); return cell; }
  const part = Math.min(1, row.done / row.total);
  const percent = Math.floor(part * 100);
  const figures = node('div', 'figures');
  figures.append(node('span', 'main', `${percent} %`));
  figures.append(node('span', 'sub', amount(row.done, row.total)));
  const bar = node('div', 'bar');
  bar.setAttribute('role', 'progressbar');
  bar.setAttribute('aria-label', `${PHASES[row.phase] || row.phase} ${row.serial}`);
  bar.setAttribute('aria-valuemin', '0');
  bar.setAttribute('aria-valuemax', '100');
  bar.setAttribute('aria-valuenow', String(percent));
  const fill = node('i');
  fill.style.transform = `scaleX(${part})`;
  bar.append(fill);
  cell.append(figures, bar);
  return cell;
}

function leftCell(row) {
  const cell = node('td');
  if (row.silent) cell.append(node('div', 'quiet', `silent ${span((stationNow() - Date.parse(row.seen)) / 1000)}`));
  else {
    cell.append(node('div', 'main', row.left === null ? '' : span(row.left)));
    if (row.rate) cell.append(node('div', 'sub', `${bytes(row.rate)}/s`));
  }
  return cell;
}

function deskCell(row) {
  const cell = node('td');
  cell.colSpan = 3;
  const amiss = row.use.words;
  if (amiss.length) {
    cell.append(node('div', 'sub', 'at the desk, not as ordered:'));
    for (const what of amiss) cell.append(node('div', 'why', what));
  } else cell.append(node('div', 'main', 'In use: all took effect'));
  cell.append(node('div', 'sub', `heard of at ${clock(row.use.heard)} · ${row.image}`));
  return cell;
}

function doneCell(row) {
  if (row.use) return deskCell(row);
  const cell = node('td');
  cell.colSpan = 3;
  const took = (Date.parse(row.seen) - Date.parse(row.since)) / 1000;
  cell.append(node('div', 'main', `Written and read back, record #${row.record}`),
    node('div', 'sub', `at ${clock(row.seen)}, after ${span(took)} · ${row.image}`));
  return cell;
}

function resultCell(row) {
  const cell = node('td');
  cell.append(node('span', 'badge', row.use ? USE[row.use.state] : WORDS[row.state]));
  if (row.state === 'waiting') cell.append(node('div', 'sub', `since ${clock(row.since)}`));
  if (row.state === 'failed') cell.append(node('div', 'sub', `at ${clock(row.seen)}`));
  return cell;
}

function fill(line, row) {
  line.dataset.state = row.use && row.use.state === 'amiss' ? 'failed' : row.state;
  line.classList.toggle('silent', row.silent);
  const head = [deviceCell(row), orderCell(row)];
  const middle = { failed: () => [reasonCell(row)], waiting: () => [reasonCell(row)], done: () => [doneCell(row)],
    working: () => [stepCell(row), progressCell(row), leftCell(row)] }[row.state]();
  line.replaceChildren(...head, ...middle, resultCell(row));
}

function announce(row, before) {
  const who = `${row.serial || row.product}${row.name ? ` for ${row.name}` : ''}`;
  const use = (one) => (one && one.use ? one.use.state + one.use.words.join() : '');
  if (row.use && use(before) !== use(row)) return row.use.words.length ? `${who} is not as ordered: ${row.use.words.join('. ')}` : `${who} is in use`;
  if (before && before.state === row.state) return null;
  if (row.state === 'done') return `${who} is done: ship`;
  if (row.state === 'failed') return `${who} failed: ${row.reason || ''}`;
  if (row.state === 'waiting') return `${who} waits: ${row.reason || ''}`;
  return before ? `${who} is at work` : null;
}

function count(id, number) {
  byId(`n-${id}`).textContent = String(number);
  byId(`n-${id}`).parentElement.classList.toggle('some', number > 0);
}

function show(picture, first) {
  latest = picture;
  offset = Date.parse(picture.at) - Date.now();
  const { counts } = picture;
  count('failed', counts.failed); count('waiting', counts.waiting); count('working', counts.working); count('done', counts.done_today);
  byId('orders').textContent = `${counts.open_orders} open order${counts.open_orders === 1 ? '' : 's'}`;
  const body = byId('rows');
  const said = [];
  const wanted = picture.devices.filter((row) => !only || row.state === only);
  const there = new Set(wanted.map((row) => row.id));
  for (const [id, shown] of rows) if (!there.has(id)) { shown.line.remove(); rows.delete(id); }
  let place = body.firstElementChild;
  for (const row of wanted) {
    let shown = rows.get(row.id);
    const news = announce(row, shown && shown.row);
    if (news && !first) said.push(news);
    if (!shown) { shown = { line: node('tr'), text: '' }; rows.set(row.id, shown); }
    const text = JSON.stringify(row);
    if (text !== shown.text || row.silent) { fill(shown.line, row); shown.text = text; }
    shown.row = row;
    if (shown.line === place) place = place.nextElementSibling;
    else body.insertBefore(shown.line, place);
  }
  const empty = byId('empty');
  empty.hidden = wanted.length > 0;
  empty.textContent = only ? 'No device in this state.' : 'No device on the line yet. Start one from the agent\u2019s medium: it shows up here.';
  if (said.length) byId('said').textContent = said.slice(0, 5).join('. ');
}

function link(state) {
  document.body.dataset.link = state;
  byId('link').dataset.link = state;
  byId('link-text').textContent = { live: 'live', wait: 'connecting', lost: 'station lost' }[state];
  const lost = byId('lost');
  lost.hidden = state !== 'lost';
  if (state === 'lost') {
    if (!lostSince) lostSince = lastHeard;
    const text = `Connection to the station lost at ${clock(lostSince)}. What you see below is old; trying again.`;
    if (lost.textContent !== text) lost.textContent = text;
  } else lostSince = null;
}

function take(text) {
  let picture;
  try { picture = JSON.parse(text); } catch { return; }
  if (!picture || !Array.isArray(picture.devices)) return;
  const first = latest === null;
  lastHeard = Date.now();
  link('live');
  show(picture, first);
}

function listen() {
  if (!('EventSource' in window)) return;
  if (source) source.close();
  source = new EventSource('/api/v1/events');
  source.addEventListener('line', (event) => take(event.data));
}

// Behind proxies that hold back event streams, and while the stream is being set up again: ask.
async function poll() {
  if (Date.now() - lastHeard < LOST - BEAT) return;
  try {
    const answer = await fetch('/api/v1/line', { cache: 'no-store', signal: AbortSignal.timeout(POLL) });
    if (answer.ok) take(await answer.text());
  } catch { /* said below, once it is long enough */ }
  if (source === null || source.readyState === 2) listen();
}

function tick() {
  byId('clock').textContent = clock(stationNow());
  if (Date.now() - lastHeard > LOST) link('lost');
}

for (const button of document.querySelectorAll('[data-only]')) {
  button.addEventListener('click', () => {
    only = only === button.dataset.only ? null : button.dataset.only;
    for (const other of document.querySelectorAll('[data-only]')) other.setAttribute('aria-pressed', String(other.dataset.only === only));
    if (latest) show(latest, true);
  });
}

lastHeard = Date.now();
listen();
poll();
tick();
setInterval(tick, 1000);
setInterval(poll, POLL);
// A first picture at once, without waiting for the stream.
fetch('/api/v1/line', { cache: 'no-store' }).then((answer) => (answer.ok ? answer.text() : '')).then((text) => { if (text) take(text); }).catch(() => {});
