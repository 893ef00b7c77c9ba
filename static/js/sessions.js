// Where one is signed in, and the end of that.

import { api } from './api.js';
import { alarm, filled, say } from './page.js';
import { when } from './time.js';

const $ = (selector) => document.querySelector(selector);

export function showSessions(items) {
  items.sort((a, b) => b.current - a.current || b.last_used_at.localeCompare(a.last_used_at));
  $('#sessions').replaceChildren(...items.map(card));
  countOthers();
}

function card(item) {
  const name = device(item.user_agent ?? '');
  const element = filled('#session', { name, ip: item.ip ?? 'unknown address' });
  element.title = item.user_agent ?? '';
  when(element.querySelector('.used'), item.last_used_at);
  when(element.querySelector('.created'), item.created_at);
  element.querySelector('button').onclick = () => signOutOther(element, item.id, name);
  element.querySelector(item.current ? 'button' : '.current').remove();
  return element;
}

async function signOutOther(element, id, name) {
  const button = element.querySelector('button');
  button.disabled = true;
  try {
    await api('DELETE', `sessions/${id}`);
  } catch (problem) {
    button.disabled = false;
    if (problem.status !== 404) return alarm(problem); // 404: it ended by itself
  }
  element.remove();
  countOthers();
  say(`${name} is signed out.`);
  $('#sessions-title').focus(); // its button is gone; a keyboard must not start at the top
}

function countOthers() {
  const others = $('#sessions').children.length - 1;
  $('#others').textContent = others > 0 ? `Here and on ${others} other${others > 1 ? 's' : ''}.` : 'Only here.';
  $('#sign-out-others').hidden = others < 1;
}

$('#sign-out-others').onclick = async ({ currentTarget: button }) => {
  button.disabled = true;
  try {
    await api('DELETE', 'sessions');
    othersEnded();
    say('All others are signed out.');
    $('#sessions-title').focus();
  } catch (problem) {
    alarm(problem);
  }
  button.disabled = false;
};

export function othersEnded() {
  $('#sessions').replaceChildren(...[...$('#sessions').children].filter((one) => one.querySelector('.current')));
  countOthers();
}

// Enough to know one's own devices again; the whole string is in the tooltip.
function device(agent) {
  const name = (pairs) => pairs.find(([pattern]) => pattern.test(agent))?.[1];
  const browser = name([
    [/Edg\//, 'Edge'],
    [/OPR\//, 'Opera'],
    [/Firefox\/|FxiOS\//, 'Firefox'],
    [/Chrome\/|CriOS\//, 'Chrome'],
    [/Safari\//, 'Safari'],
    [/curl\//, 'curl'],
  ]);
  const system = name([
    [/Android/, 'Android'],
    [/iPhone|iPad/, 'iOS'],
    [/Windows/, 'Windows'],
    [/Mac OS X/, 'macOS'],
    [/CrOS/, 'ChromeOS'],
    [/Linux/, 'Linux'],
  ]);
  return [browser ?? (agent.split(/[/ ]/)[0] || 'An unknown program'), system].filter(Boolean).join(' on ');
}
