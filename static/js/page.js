// What all pages share: the navigation's two faces, messages, and what becomes of a page when its session ends.

import * as session from './session.js';

const $ = (selector) => document.querySelector(selector);

export function showNavigation() {
  const who = session.isLikely() ? 'member' : 'guest';
  for (const item of document.querySelectorAll('[data-for]')) item.hidden = item.dataset.for !== who;
}

// Said by screen readers when they have finished a sentence …
export function say(text) {
  write($('#said'), text);
  fading = setTimeout(quiet, 8_000);
}
let fading;

// … and at once.
export function alarm(problem, action) {
  if (problem.code === 'signed_out') return; // `comeBack` knows what to do about that
  const region = $('#alarm');
  write(region, problem.message ?? problem);
  if (action) region.append(' ', action);
  if (problem.status >= 500 && problem.requestId) {
    const reference = document.createElement('small');
    reference.textContent = `Should you report it, quote ${problem.requestId}.`;
    region.append(reference);
  }
}

function write(region, text) {
  clearTimeout(fading);
  for (const other of document.querySelectorAll('#said, #alarm')) other.replaceChildren();
  region.textContent = text;
}

export const quiet = () => write($('#said'), '');

// A page for those who are signed in: `load` fills it. All others go and sign in, and come back.
export async function member(load) {
  for (const button of document.querySelectorAll('[data-sign-out]')) button.onclick = leave;
  session.events.addEventListener('signed-out', goodbye);
  // Perhaps as somebody else. What is half written is this person's all the same, and goes on.
  session.events.addEventListener('signed-in', () => hasUnsentText() ? quiet() : location.reload());
  session.events.addEventListener('ended', comeBack);
  try {
    await load();
  } catch (problem) {
    alarm(problem, button('Try again', () => location.reload()));
  }
}

async function leave({ currentTarget }) {
  currentTarget.disabled = true;
  try {
    await session.signOut();
    goodbye();
  } catch (problem) {
    currentTarget.disabled = false;
    alarm(problem);
  }
}

// Nothing of the account stays on the screen, not even for as long as the next page takes.
function goodbye() {
  $('main').replaceChildren();
  location.replace('/sign-in?left');
}

// Text that was being written stays on the screen: one can sign in in another tab.
function comeBack() {
  const url = `/sign-in?next=${location.pathname}`;
  if (!hasUnsentText()) return location.replace(url);
  const link = document.createElement('a');
  Object.assign(link, { href: url, target: '_blank', textContent: 'Sign in in a new tab' });
  alarm('Your session has ended; what you have written is still here.', link);
}

export const hasUnsentText = () =>
  [...document.querySelectorAll('main :is(input, textarea)')].some((field) => field.value !== field.defaultValue);

export function button(text, onclick) {
  return Object.assign(document.createElement('button'), { type: 'button', textContent: text, onclick });
}

// The text of `template` with its `data-fill` places filled.
export function filled(template, values) {
  const copy = $(template).content.firstElementChild.cloneNode(true);
  for (const place of copy.querySelectorAll('[data-fill]')) place.textContent = values[place.dataset.fill];
  return copy;
}

// The words of a scope as items of a list.
export const words = (scope) =>
  scope.split(' ').filter(Boolean).map((word) => Object.assign(document.createElement('li'), { textContent: word }));

// A question before what cannot be taken back. The dialog gives the focus back to where it was; Escape means no.
export function asked(question, values) {
  const dialog = $(question);
  for (const place of dialog.querySelectorAll('[data-fill]')) place.textContent = values[place.dataset.fill];
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((answer) => {
    // `close` comes late: it may be of the time before, while the dialog is open again.
    dialog.onclose = () => dialog.open || answer(dialog.returnValue === 'yes');
  });
}
