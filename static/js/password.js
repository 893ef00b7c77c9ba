// What can be told of a password without a server. The server has the last word.

// Shows by the list of hints what is met so far; `email` says for which address.
export function judgeWhileTyped(password, email) {
  password.form.addEventListener('input', () => {
    const found = weaknesses(password.value, email());
    for (const hint of document.querySelectorAll('[data-hint]')) {
      hint.dataset.met = password.value !== '' && !found.has(hint.dataset.hint);
    }
    const length = [...password.value].length;
    document.querySelector('#length').textContent = length ? `, ${length} so far` : '';
    password.setCustomValidity(found.size && password.value ? 'weak' : '');
  });
}

function weaknesses(password, email) {
  const found = new Set();
  const plain = password.toLowerCase();
  if ([...password].length < 12) found.add('length');
  if (isMonotonous(plain)) found.add('pattern');
  if (namesOf(email).some((name) => plain.includes(name))) found.add('email');
  return found;
}

// Few different characters, or a run as on the keyboard or in the alphabet for half of it.
function isMonotonous(plain) {
  return new Set(plain).size < 5 || longestRun(plain) * 2 > plain.length;
}

const ROWS = ['abcdefghijklmnopqrstuvwxyz', '01234567890', 'qwertyuiop', 'asdfghjkl', 'zxcvbnm'];

function longestRun(plain) {
  let longest = 0;
  let run = 1;
  for (let at = 1; at < plain.length; at += 1) {
    const pair = plain.slice(at - 1, at + 1);
    const flipped = pair[1] + pair[0];
    const follows = pair === flipped || ROWS.some((row) => row.includes(pair) || row.includes(flipped));
    run = follows ? run + 1 : 1;
    longest = Math.max(longest, run);
  }
  return longest;
}

function namesOf(email) {
  const [name] = email.toLowerCase().split('@');
  return name.length >= 4 ? [name] : [];
}
