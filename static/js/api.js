// Requests to the API as the one who is signed in. A token that has run out is renewed before it is used; one
// that the server turns down all the same (revoked, changed rights) is renewed once, and the request sent again.

import { request } from './http.js';
import * as session from './session.js';

export const api = (method, path, body) => authorised((token) => request(method, `/api/v1/${path}`, { body, token }));

// `send` may be called twice.
export async function authorised(send) {
  const token = await session.token();
  try {
    return await send(token);
  } catch (problem) {
    if (problem.status !== 401) throw problem;
  }
  try {
    return await send(await session.token(token));
  } catch (problem) {
    throw problem.status === 401 ? session.end() : problem;
  }
}
