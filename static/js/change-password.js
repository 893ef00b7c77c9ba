// A new password, which ends all other sessions.

import { authorised } from './api.js';
import { onSubmit, passwordToggle } from './form.js';
import { request } from './http.js';
import { say } from './page.js';
import { judgeWhileTyped } from './password.js';
import * as session from './session.js';
import { othersEnded } from './sessions.js';

export function offerNewPassword(email) {
  const form = document.querySelector('#password');
  const place = form.closest('details');
  // For the password manager, which must know whose password it is.
  form.elements.username.value = form.elements.username.defaultValue = email;
  for (const button of form.querySelectorAll('[aria-controls]')) passwordToggle(button);
  judgeWhileTyped(form.elements.new_password, () => email);

  onSubmit(form, async ({ current_password, new_password }) => {
    const body = { current_password, new_password };
    await authorised((token) => session.replace(() => request('POST', '/api/v1/auth/password', { body, token })));
    form.reset();
    form.dispatchEvent(new Event('input')); // the hints, too
    place.open = false;
    say('Your password is changed. All your other sessions have ended.');
    othersEnded();
    place.querySelector('summary').focus();
  });
}
