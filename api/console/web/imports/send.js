// Sends the ids of a file, and looks some of them up.
import { Problem, ask, author, headerText, path, query } from '../lib/api.js';

/** Ids that are looked up one by one; all of them, where there are no more. */
export const LOOKED_UP = 100;
const AT_ONCE = 6;

/** Sends a body, telling how much of it is sent. */
function upload(url, method, body, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.setRequestHeader('content-type', 'application/json');
    request.setRequestHeader('x-author', headerText(author.get()));
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () =>
      reject(new Problem(0, { detail: 'The server cannot be reached. Nothing was imported.' }));
    request.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText || '{}');
      } catch {
        // Then the status says what there is to say.
      }
      if (request.status < 300) resolve(answer);
      else reject(new Problem(request.status, answer));
    };
    request.send(body);
  });
}

/** Adds, replaces or removes members; as a trial, nothing is changed. `lines` are those of the ids in the file. */
export async function sendIds({ segment, mode, ids, lines, isTrial, onProgress }) {
  const members = path`/api/segments/${segment}/members`;
  const [method, url] = {
    add: ['POST', members],
    replace: ['PUT', members],
    remove: ['POST', `${members}/remove`],
  }[mode];
  const result = await upload(
    url + query({ dryRun: isTrial ? 'true' : undefined }),
    method,
    JSON.stringify(ids),
    onProgress,
  );
  // The server counts the ids that it got; people look for the lines of their file.
  const rejected = (result.rejected ?? []).map((one) => ({ ...one, row: lines[one.row - 1] ?? one.row }));
  return { ...result, rejected };
}

async function isKnown(id, signal) {
  try {
    await ask('GET', path`/api/users/${id}`, { signal });
    return true;
  } catch (problem) {
    if (problem.status === 404) return false;
    throw problem;
  }
}

/**
 * Looks up whether there are users with such ids: the first ones, each once.
 * @returns {Promise<{ asked: number, known: number, unknown: string[] }>}
 */
export async function lookUp(ids, signal) {
  const asked = [...new Set(ids)].filter((id) => id !== '' && id.length <= 256).slice(0, LOOKED_UP);
  const unknown = [];
  for (let at = 0; at < asked.length; at += AT_ONCE) {
    const some = asked.slice(at, at + AT_ONCE);
    const found = await Promise.all(some.map((id) => isKnown(id, signal)));
    unknown.push(...some.filter((_, index) => !found[index]));
  }
  return { asked: asked.length, known: asked.length - unknown.length, unknown };
}
