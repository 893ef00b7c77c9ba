// Who is signed in. The refresh token is a cookie no script can read; the access token lives here, in memory,
// and goes with the page. The tabs of a browser share both: one renews at a time, and the others take over
// what it got, so that no two tabs ever spend the same refresh token.

import { Problem, request } from './http.js';

const RENEWING = 'roadstead-renewing'; // Web Lock: the cookie changes in one place at a time
const HOLDING = 'roadstead-holding'; // Web Lock, shared: this tab has a token to give
const HINT = 'roadstead-signed-in'; // says no more than that asking the server is worth it
const MARGIN = 15_000; // a token this close to its end is not used for a new request

let held = null; // { token, expires }
let release = null; // lets HOLDING go

// `signed-in` and `signed-out` by another tab, `ended` by the server.
export const events = new EventTarget();
const tabs = new BroadcastChannel('roadstead-session');

const fresh = (grant, refused) =>
  grant !== null && grant.token !== refused && grant.expires - Date.now() > MARGIN;

tabs.onmessage = ({ data: { kind, grant } }) => {
  if (kind === 'ask' && fresh(held)) tell('token', held);
  if (kind === 'token' || kind === 'signed-in') hold(grant);
  if (kind === 'signed-out') drop();
  events.dispatchEvent(new Event(kind));
};

const tell = (kind, grant) => tabs.postMessage({ kind, grant });

// A page kept for the Back button must not come back with what it showed, or with a token.
addEventListener('pagehide', () => hold(null));
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

export const isLikely = () => localStorage.getItem(HINT) !== null;

// A good access token; `refused` is one the server has just turned down.
export async function token(refused) {
  if (!fresh(held, refused)) await alone(() => renew(refused));
  if (!held) throw end(); // another tab signed out meanwhile
  return held.token;
}

const alone = (work) => navigator.locks.request(RENEWING, work);

async function renew(refused) {
  if (!fresh(held, refused)) await askOtherTabs();
  if (fresh(held, refused)) return;
  try {
    // Kept alive: a page left in mid-renewal would lose the new cookie, and with it the session.
    // Repeatable: for ten seconds the server gives the same successor again.
    const options = { keepalive: true, repeatable: true };
    take(await request('POST', '/api/v1/auth/session/refresh', options));
  } catch (problem) {
    if (problem.status !== 400 && problem.status !== 401) throw problem;
    throw end();
  }
  tell('token', held);
}

// Waits only when there is a tab that can answer.
async function askOtherTabs() {
  const locks = await navigator.locks.query();
  if (!locks.held.some(({ name }) => name === HOLDING)) return;
  tell('ask');
  await new Promise((resume) => {
    events.addEventListener('token', resume, { once: true });
    setTimeout(resume, 250);
  });
}

export async function signIn(email, password) {
  take(await alone(() => request('POST', '/api/v1/auth/session', { body: { email, password } })));
  tell('signed-in', held);
}

// For what else gives a new token and changes the cookie.
export async function replace(work) {
  take(await alone(work));
  tell('token', held);
}

// By the cookie alone: it is there even when the access token is not.
export async function signOut() {
  try {
    await alone(() => request('DELETE', '/api/v1/auth/session', { repeatable: true }));
  } catch (problem) {
    if (problem.status !== 401) throw problem; // 401: there was nothing left to end
  }
  drop();
  tell('signed-out');
}

// The server will not go on with this session: to be thrown.
export function end() {
  drop();
  events.dispatchEvent(new Event('ended'));
  return new Problem({ code: 'signed_out', status: 401 });
}

function drop() {
  hold(null);
  localStorage.removeItem(HINT);
}

function take({ access_token, expires_in }) {
  hold({ token: access_token, expires: Date.now() + expires_in * 1000 });
  localStorage.setItem(HINT, '1');
}

function hold(grant) {
  held = grant;
  if (!grant) {
    release?.();
    release = null;
  } else if (!release) {
    const leaving = new Promise((resolve) => (release = resolve));
    navigator.locks.request(HOLDING, { mode: 'shared' }, () => leaving);
  }
}
