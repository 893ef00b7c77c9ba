// Notes: written, listed newest first, changed in place, deleted after a question.

import { api } from './api.js';
import { onSubmit } from './form.js';
import { alarm, asked, filled, hasUnsentText, member, say, showNavigation } from './page.js';
import { when } from './time.js';

const PAGE = 20;

const $ = (selector) => document.querySelector(selector);
const list = $('#notes');
const more = $('#more');
const writer = $('#new-note');
let next = null; // the cursor of the page after those that are shown

showNavigation();
await member(async () => {
  append(await page());
  writer.hidden = false;
});

onSubmit(writer, async (values) => {
  const note = await api('POST', 'notes', values);
  writer.reset();
  list.prepend(card(note));
  count();
  say(`“${note.title}” is saved.`);
  writer.elements.title.focus();
});

more.onclick = async () => {
  more.disabled = true;
  try {
    const { items, first } = append(await page(next));
    say(`${items.length} older ${items.length === 1 ? 'note' : 'notes'}.`);
    first?.querySelector('h3').focus();
  } catch (problem) {
    alarm(problem);
  }
  more.disabled = false;
};

addEventListener('beforeunload', (event) => hasUnsentText() && event.preventDefault());

function page(after) {
  const query = new URLSearchParams({ limit: PAGE, ...(after && { after }) });
  return api('GET', `notes?${query}`);
}

function append({ items, next: cursor }) {
  // What was written since the last page was read moved the rest down: none twice.
  const cards = items.filter(({ id }) => !document.getElementById(`note-${id}`)).map(card);
  list.append(...cards);
  next = cursor;
  more.hidden = next === null;
  count();
  return { items, first: cards[0] };
}

function count() {
  $('#empty').hidden = list.children.length > 0;
}

function card(note) {
  const element = filled('#note', { ...note, of: note.title });
  element.id = `note-${note.id}`;
  when(element.querySelector('time'), note.created_at);
  element.querySelector('.edited').hidden = note.updated_at === note.created_at;
  element.querySelector('.edit').onclick = () => edit(element, note);
  element.querySelector('.delete').onclick = () => remove(element, note);
  return element;
}

function edit(element, note) {
  const form = filled('#note-editor', {});
  const { title, body } = form.elements;
  title.id = `title-${note.id}`;
  body.id = `body-${note.id}`;
  title.value = title.defaultValue = note.title;
  body.value = body.defaultValue = note.body;

  const close = (shown) => {
    const fresh = card(shown);
    element.replaceWith(fresh);
    fresh.querySelector('.edit').focus();
  };
  form.querySelector('.cancel').onclick = () => close(note);
  form.onkeydown = (event) => {
    if (event.key === 'Escape') close(note);
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  };
  onSubmit(form, async (values) => {
    const changed = await api('PATCH', `notes/${note.id}`, values);
    close(changed);
    say(`“${changed.title}” is saved.`);
  });
  element.replaceChildren(form);
  title.focus();
}

async function remove(element, note) {
  if (!(await asked('#confirm', note))) return;
  try {
    await api('DELETE', `notes/${note.id}`);
  } catch (problem) {
    if (problem.status !== 404) return alarm(problem); // 404: another tab was quicker
  }
  const neighbour = element.nextElementSibling ?? element.previousElementSibling;
  element.remove();
  count();
  say(`“${note.title}” is deleted.`);
  (neighbour?.querySelector('h3') ?? writer.elements.title).focus();
}
