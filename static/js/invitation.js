// An invitation becomes an account. Its token came behind the `#`, which no browser sends to a server; here it
// leaves the address bar too, before anything else, so that no screenshot or bookmark has it.

import { complain, onSubmit, passwordToggle } from './form.js';
import { alarm, showNavigation } from './page.js';
import { request } from './http.js';
import * as session from './session.js';
import { judgeWhileTyped } from './password.js';

let token = null;

const form = document.querySelector('form');
const { email, password } = form.elements;

function takeInvitation() {
  const link = new URLSearchParams(location.hash.slice(1).replaceAll('+', '%2B')); // the `+` of an address is no space
  history.replaceState(null, '', location.pathname);
  if (link.has('token')) {
    token = link.get('token');
    email.value = email.defaultValue = link.get('email') ?? '';
    email.readOnly = email.value !== ''; // an invitation is for one address
  }
  form.hidden = !token;
  document.querySelector('#no-token').hidden = Boolean(token);
}

takeInvitation();
addEventListener('hashchange', takeInvitation); // a second invitation, opened in the same tab
showNavigation();
passwordToggle(document.querySelector('[aria-controls=password]'));
judgeWhileTyped(password, () => email.value);

onSubmit(form, async ({ email: address, password: secret }) => {
  try {
    await request('POST', '/api/v1/auth/invitation', { body: { token, email: address.trim(), password: secret } });
  } catch (problem) {
    return refuse(problem);
  }
  token = null;
  // The account stands, whatever becomes of the sign-in.
  await session.signIn(address.trim(), secret).then(
    () => location.replace('/account?welcome'),
    () => location.replace('/sign-in?welcome'),
  );
});

function refuse(problem) {
  const mine = problem.errors.some(({ field }) => form.elements[field]);
  if (problem.status === 409 && !mine) return complain(email, problem.message);
  if (mine || problem.passing || problem.status >= 500) throw problem;
  alarm('This invitation cannot be used (any more). It works once, for 30 minutes, and for the invited address.');
}
