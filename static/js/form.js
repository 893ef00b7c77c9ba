// Forms: what is missing is said beside its field, what the server refuses too, and nothing is sent twice.

import { alarm, quiet } from './page.js';

// `act` gets the values and does the work; what it throws is shown.
export function onSubmit(form, act) {
  form.noValidate = true; // our words, in our place
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const submit = form.querySelector('[type=submit]');
    if (submit.disabled || !isValid(form)) return;
    submit.disabled = true;
    form.ariaBusy = 'true';
    quiet();
    try {
      await act(Object.fromEntries(new FormData(form)));
      submit.disabled = false;
    } catch (problem) {
      show(form, problem);
      await pause(submit, problem);
    }
    form.ariaBusy = null;
  });
  // A complaint goes when its field, or its group of boxes, is put right, not while it still holds.
  form.addEventListener('input', ({ target }) => {
    const field = target.closest('fieldset') ?? target;
    if (field.ariaInvalid && !missing(field)) complain(field, '');
  });
}

function isValid(form) {
  const fields = [...form.elements].filter((field) => field.willValidate && field.name);
  for (const field of fields) complain(field, missing(field));
  const first = fields.find((field) => field.ariaInvalid);
  first?.focus();
  return !first;
}

// The wording is in the page: data-missing for what is empty, data-wrong for what is not as it must be.
function missing({ validity, validationMessage, dataset }) {
  if (validity.valid) return '';
  return (validity.valueMissing ? dataset.missing : dataset.wrong ?? dataset.missing) ?? validationMessage;
}

export function complain(field, message) {
  const id = `${field.id}-error`;
  document.getElementById(id)?.remove();
  field.ariaInvalid = message ? 'true' : null;
  const described = (field.getAttribute('aria-describedby') ?? '').split(' ').filter((one) => one && one !== id);
  if (message) {
    const words = Object.assign(document.createElement('p'), { id, className: 'error', textContent: message });
    (field.closest('.reveal, label') ?? field).after(words);
    described.unshift(id);
  }
  if (described.length) field.setAttribute('aria-describedby', described.join(' '));
  else field.removeAttribute('aria-describedby');
}

function show(form, problem) {
  const ours = problem.errors?.filter(({ field }) => form.elements[field]) ?? [];
  for (const { field, message } of ours) complain(form.elements[field], sentence(form.elements[field], message));
  const first = form.elements[ours[0]?.field];
  if (first) (first.elements?.[0] ?? first).focus();
  else alarm(problem);
}

// `must have 1 to 200 characters` is said of a field by its name.
function sentence(field, message) {
  const name = (field.labels?.[0] ?? field.querySelector('legend')).firstChild.data.trim();
  return /^[a-z]/.test(message) ? `${name} ${message}.` : message;
}

// What the server asks to wait for is counted down on the button itself.
async function pause(submit, { retryAfter }) {
  const text = submit.textContent;
  for (let left = Math.min(retryAfter ?? 0, 3600); left > 0; left -= 1) {
    submit.textContent = `${text} (in ${left} s)`;
    await new Promise((resume) => setTimeout(resume, 1000));
  }
  submit.textContent = text;
  submit.disabled = false;
}

export function passwordToggle(button) {
  const field = document.getElementById(button.getAttribute('aria-controls'));
  const show = (shown) => {
    field.type = shown ? 'text' : 'password';
    button.firstChild.data = shown ? 'Hide' : 'Show';
  };
  button.onclick = () => show(field.type === 'password');
  field.form.addEventListener('submit', () => show(false)); // so that the browser offers to keep it
}
