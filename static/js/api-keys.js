// Keys for programs: made, shown once, listed, revoked.

import { api } from './api.js';
import { onSubmit } from './form.js';
import { Problem } from './http.js';
import { alarm, asked, filled, member, say, showNavigation, words } from './page.js';
import { when } from './time.js';

const MEANS = { notes: 'your notes: read and write', users: 'all accounts: see and manage' };

const $ = (selector) => document.querySelector(selector);
const list = $('#keys');
const made = $('#made');
const form = $('#new-key');

showNavigation();
await member(async () => {
  const [me, keys] = await Promise.all([api('GET', 'me'), api('GET', 'api-keys')]);
  offer(me.scope.split(' ').filter((word) => word !== 'account')); // which no key can have
  list.replaceChildren(...keys.items.map(card));
  count();
  form.hidden = false;
});

function offer(scope) {
  const boxes = scope.map((word) => {
    const box = filled('#box', { word, means: MEANS[word] ?? '' });
    box.querySelector('input').value = word;
    return box;
  });
  $('#words').replaceChildren(...boxes);
}

onSubmit(form, async ({ name, expires_in_days }) => {
  const scope = new FormData(form).getAll('word').join(' ');
  if (!scope) throw new Problem({ errors: [{ field: 'scope', message: 'Choose at least one.' }] });
  const { key, ...item } = await api('POST', 'api-keys', { name, scope, expires_in_days: Number(expires_in_days) });
  form.reset();
  list.prepend(card({ ...item, last_used_at: null }));
  count();
  show(key, item.name);
});

function show(key, name) {
  $('#made-name').textContent = name;
  $('#key').value = key;
  made.hidden = false;
  $('#made-title').focus();
}

$('#key').onfocus = () => $('#key').select();

$('#copy').onclick = async () => {
  try {
    await navigator.clipboard.writeText($('#key').value);
    say('The key is copied.');
  } catch {
    $('#key').focus();
    alarm('This browser does not let pages copy. The key is selected: copy it by hand.');
  }
};

$('#put-away').onclick = () => {
  made.hidden = true;
  $('#key').value = '';
  $('#list-title').focus();
};

function card(item) {
  const element = filled('#api-key', item);
  element.querySelector('.chips').replaceChildren(...words(item.scope));
  when(element.querySelector('.created'), item.created_at);
  when(element.querySelector('.expires'), item.expires_at);
  if (item.last_used_at) when(element.querySelector('.used'), item.last_used_at);
  element.querySelector(item.last_used_at ? '.never' : '.last').remove();
  element.querySelector('button').onclick = () => revoke(element, item);
  return element;
}

async function revoke(element, item) {
  if (!(await asked('#confirm', item))) return;
  try {
    await api('DELETE', `api-keys/${item.id}`);
  } catch (problem) {
    if (problem.status !== 404) return alarm(problem); // 404: it has ended by itself
  }
  element.remove();
  count();
  say(`“${item.name}” is revoked.`);
  $('#list-title').focus();
}

function count() {
  $('#count').textContent = list.children.length ? '' : 'None yet.';
}
