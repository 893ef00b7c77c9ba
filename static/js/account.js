// Who am I, how do I sign in, and where am I signed in.

import { api } from './api.js';
import { offerNewPassword } from './change-password.js';
import { member, say, showNavigation, words } from './page.js';
import { showSessions } from './sessions.js';
import { when } from './time.js';

const $ = (selector) => document.querySelector(selector);

showNavigation();
if (new URLSearchParams(location.search).has('welcome')) {
  say('Welcome aboard. Your account is made, and you are signed in.');
  history.replaceState(null, '', location.pathname);
}

await member(async () => {
  const [me, sessions] = await Promise.all([api('GET', 'me'), api('GET', 'sessions')]);
  showMe(me);
  showSessions(sessions.items);
});

function showMe({ email, admin, scope, created_at }) {
  $('#email').textContent = email;
  $('#role').textContent = admin ? 'Administrator' : 'Member';
  when($('#since'), created_at);
  $('#scope').replaceChildren(...words(scope));
  $('#to-users').hidden = !scope.split(' ').includes('users');
  offerNewPassword(email);
  $('#own').hidden = false;
}
