// One request: its answer, or a Problem that can be shown to a person. Knows nothing of tokens.

const TIMEOUT = 40_000; // the server gives a handler 30 s

// Where the server's own words would not help a person; all others are shown as the server says them.
const WORDS = {
  offline: 'The server cannot be reached. Check your connection, then try again.',
  timeout: 'The server took too long to answer. Please try again.',
  rate_limited: 'Too many attempts. Please wait a little.',
  overloaded: 'The server is busy just now. Please try again in a moment.',
  unavailable: 'A part of the server does not answer just now. Please try again in a moment.',
  bad_gateway: 'The application does not answer just now. It is usually back within seconds.',
  signed_out: 'Your session has ended. Please sign in again.',
  body_too_large: 'That is more text than fits. Please make it shorter.',
  insufficient_scope: 'This is for administrators only.',
  not_found: 'This is not there any more.',
  internal: 'Something broke on our side. It is not your fault.',
};

export class Problem extends Error {
  constructor({ status = 0, code, title, detail, errors = [], request_id }, retryAfter = null) {
    super(WORDS[code] ?? detail ?? title ?? 'That did not work. Please try again.');
    Object.assign(this, { status, code, errors, requestId: request_id, retryAfter });
  }

  // Whether the same request may well succeed in a moment.
  get passing() {
    return this.status === 0 || [429, 502, 503, 504].includes(this.status);
  }
}

// `repeatable`: to send it twice does no harm, so one passing failure is not worth a word.
export async function request(method, path, { repeatable = method === 'GET', ...options } = {}) {
  try {
    return await once(method, path, options);
  } catch (problem) {
    const wait = problem.retryAfter ?? 0.5;
    if (!repeatable || !problem.passing || wait > 3) throw problem;
    await new Promise((resume) => setTimeout(resume, wait * 1000));
    return once(method, path, options);
  }
}

async function once(method, path, { body, token, keepalive = false }) {
  const headers = { Accept: 'application/json', 'X-Requested-With': 'roadstead' };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers['Content-Type'] = 'application/json';
  let response, answer;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      cache: 'no-store',
      keepalive,
      signal: AbortSignal.timeout(TIMEOUT),
    });
    answer = await response.text();
  } catch (cause) {
    throw new Problem({ code: cause.name === 'TimeoutError' ? 'timeout' : 'offline' });
  }
  const reply = parsed(answer);
  if (response.ok) return reply;
  throw new Problem({ ...reply, status: response.status }, seconds(response.headers.get('Retry-After')));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // 204, or a page of something that stands between us and the server
  }
}

// RFC 9110 section 10.2.3: seconds, or a date.
function seconds(header) {
  if (!header) return null;
  const wait = Number.isNaN(Number(header)) ? (Date.parse(header) - Date.now()) / 1000 : Number(header);
  return Number.isFinite(wait) ? Math.max(1, Math.ceil(wait)) : null;
}
