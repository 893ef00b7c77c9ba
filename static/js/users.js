// All accounts, for administrators: who may come in, and who may do what.

import { api } from './api.js';
import { alarm, asked, filled, member, say, showNavigation } from './page.js';
import { when } from './time.js';

const $ = (selector) => document.querySelector(selector);
const rights = (patch) => ({ id }) => api('PATCH', `users/${id}`, patch);

// What can be done with an account: whether it makes sense, what is asked before, what is said afterwards.
const ACTS = {
  grant: {
    fits: ({ admin }) => !admin,
    question: 'Make an administrator?',
    follows: 'may then see and manage all accounts, yours too.',
    yes: 'Make administrator',
    act: rights({ admin: true }),
    done: 'is an administrator.',
  },
  withdraw: {
    fits: ({ admin }) => admin,
    act: rights({ admin: false }),
    done: 'is no administrator any more.',
  },
  end: {
    fits: ({ disabled }) => !disabled,
    question: 'Sign out everywhere?',
    follows: 'has to sign in again on every device and in every program.',
    yes: 'Sign out',
    act: ({ id }) => api('DELETE', `users/${id}/sessions`),
    done: 'is signed out everywhere.',
  },
  disable: {
    fits: ({ disabled }) => !disabled,
    question: 'Disable this account?',
    follows: 'is signed out everywhere, API keys are refused, and nobody can sign in, until it is enabled again.',
    yes: 'Disable it',
    act: rights({ disabled: true }),
    done: 'is disabled.',
  },
  enable: {
    fits: ({ disabled }) => disabled,
    act: rights({ disabled: false }),
    done: 'is enabled.',
  },
};

let me;

showNavigation();
await member(async () => {
  const [own, users] = await Promise.all([api('GET', 'me'), api('GET', 'users')]);
  me = own.id;
  $('#users').replaceChildren(...users.items.map(card));
  $('#count').textContent = `${users.items.length} in all.`;
});

function card(user) {
  const element = filled('#user', user);
  when(element.querySelector('time'), user.created_at);
  for (const place of element.querySelectorAll('.own')) place.hidden = user.id !== me;
  element.querySelector('.admin').hidden = !user.admin;
  element.querySelector('.disabled').hidden = !user.disabled;
  const actions = element.querySelector('.actions');
  if (user.id === me) actions.remove();
  for (const button of actions.children) {
    const act = ACTS[button.dataset.act];
    button.hidden = !act.fits(user);
    button.onclick = () => perform(element, user, act, button);
  }
  return element;
}

async function perform(element, user, { question, follows, yes, act, done }, button) {
  if (question && !(await asked('#confirm', { question, follows, yes, email: user.email }))) return;
  button.disabled = true;
  try {
    const fresh = card((await act(user)) ?? user);
    element.replaceWith(fresh);
    say(`${user.email} ${done}`);
    fresh.querySelector('h3').focus(); // the button may be gone
  } catch (problem) {
    button.disabled = false;
    alarm(problem);
  }
}
