// Times as people say them.

const LANGUAGE = 'en';
const relative = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: 'auto' });
const absolute = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: 'medium', timeStyle: 'short' });
const STEPS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];

export function when(element, iso) {
  const time = new Date(iso);
  element.dateTime = iso;
  element.textContent = ago((time - Date.now()) / 1000) ?? absolute.format(time);
  element.title = absolute.format(time);
}

// Before or after now; `null` when that is more than a week away.
function ago(seconds) {
  const away = Math.abs(seconds);
  if (away < 60) return 'just now'; // the server's clock may be a little ahead
  if (away > 7 * 86_400) return null;
  const [unit, length] = STEPS.find(([, length]) => away >= length);
  return relative.format(Math.trunc(seconds / length), unit);
}

export function duration(seconds) {
  const parts = STEPS.map(([unit, length]) => {
    const count = Math.floor(seconds / length);
    seconds -= count * length;
    return count && `${count} ${unit === 'minute' ? 'min' : unit[0]}`;
  });
  return parts.filter(Boolean).slice(0, 2).join(' ') || `${Math.floor(seconds)} s`;
}
