// The first page's live part: it asks again and again who answers, and shows it.

import { showNavigation } from './page.js';
import { duration } from './time.js';

const PAUSE = 3_000;
const FIRST_LOOK = [0, 150, 300, 450]; // nginx takes the slots in turn: a few quick questions meet both
const GONE_AFTER = 6; // answers by others, until a slot that was seen counts as away

const $ = (selector) => document.querySelector(selector);
const PROTOCOLS = { h2: 'HTTP/2', h3: 'HTTP/3', 'http/1.1': 'HTTP/1.1' };
const slots = new Map(); // name -> its last answer
let answers = 0;
let missed = 0;

async function ask() {
  const begun = performance.now();
  try {
    const response = await fetch('/health/ready', { cache: 'no-store', signal: AbortSignal.timeout(PAUSE * 3) });
    const state = await response.json();
    if (!response.ok) throw new Error(state.code);
    answers += 1;
    seen(state, performance.now() - begun);
  } catch {
    missed += 1;
    tick('missed', 'no answer');
  }
  show();
}

function seen(state, took) {
  const name = state.slot ?? 'application';
  const before = slots.get(name);
  const replaced = before && before.instance !== state.instance;
  slots.set(name, { ...state, at: answers, replaced: replaced || before?.replaced });
  $('#took').textContent = `${took < 10 ? took.toFixed(1) : Math.round(took)} ms`;
  tick(name, name);
}

const isHere = ({ at }) => answers - at < GONE_AFTER;

function show() {
  const lost = $('#ticks').lastElementChild?.className === 'missed';
  const here = [...slots].filter(([, slot]) => isHere(slot)).map(([name]) => name[0].toUpperCase() + name.slice(1));
  $('#state').dataset.state = lost ? 'lost' : 'ready';
  headline(lost ? 'No answer just now' : here.length > 1 ? 'Both slots answer' : `${here[0]} answers`);
  $('#slots').replaceChildren(...[...slots].sort().map(row));
  $('#count').textContent = `${answers} answer${answers === 1 ? '' : 's'}, ${missed} missed`;
  for (const ship of document.querySelectorAll('[data-slot]')) {
    const slot = slots.get(ship.dataset.slot);
    ship.classList.toggle('lit', Boolean(slot) && isHere(slot) && !lost);
  }
}

// Only a change is worth saying aloud.
function headline(text) {
  if ($('#headline').textContent !== text) $('#headline').textContent = text;
}

function row([name, slot]) {
  const line = document.createElement('tr');
  line.className = name;
  const cells = isHere(slot)
    ? [slot.replaced ? 'ready, replaced' : 'ready', slot.version, duration(slot.uptime_s), slot.workers]
    : ['away', '–', '–', '–'];
  line.append(cell('th', name), ...cells.map((text) => cell('td', text)));
  line.firstChild.scope = 'row';
  return line;
}

const cell = (tag, textContent) => Object.assign(document.createElement(tag), { textContent });

function tick(className, title) {
  const ticks = $('#ticks');
  ticks.append(Object.assign(document.createElement('i'), { className, title }));
  if (ticks.children.length > 48) ticks.firstChild.remove();
}

function showConnection() {
  const [visit] = performance.getEntriesByType('navigation');
  const encrypted = location.protocol === 'https:' ? 'encrypted' : 'not encrypted, on this machine only';
  $('#origin').textContent = location.origin;
  $('#protocol').textContent = `${PROTOCOLS[visit?.nextHopProtocol] ?? 'HTTP'}, ${encrypted}`;
}

for (const button of document.querySelectorAll('[data-copy]')) {
  button.onclick = async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = 'Copied';
    setTimeout(() => (button.textContent = 'Copy'), 2_000);
  };
}

showNavigation();
showConnection();
$('#state').hidden = false;
await Promise.all(FIRST_LOOK.map((wait) => new Promise((resume) => setTimeout(resume, wait)).then(ask)));
for (;;) {
  await new Promise((resume) => setTimeout(resume, PAUSE));
  if (!document.hidden) await ask();
}
