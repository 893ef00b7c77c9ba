// E-mail and password become a session.

import { onSubmit, passwordToggle } from './form.js';
import { say, showNavigation } from './page.js';
import * as session from './session.js';

const query = new URLSearchParams(location.search);
const pages = ['/notes', '/account', '/api-keys', '/users'];
const next = pages.find((page) => page === query.get('next')) ?? '/notes';
const proceed = () => location.replace(next);

showNavigation();
passwordToggle(document.querySelector('[aria-controls=password]'));
if (query.has('left')) say('You are signed out.');
if (query.has('next')) say('Please sign in to go on.');
if (query.has('welcome')) say('Your account is made. Please sign in.');
history.replaceState(null, '', query.has('next') ? `/sign-in?next=${next}` : '/sign-in');

onSubmit(document.querySelector('form'), async ({ email, password }) => {
  await session.signIn(email.trim(), password);
  proceed();
});

// Someone who is signed in already need not do it again.
session.events.addEventListener('signed-in', proceed);
if (session.isLikely()) session.token().then(proceed, showNavigation);
