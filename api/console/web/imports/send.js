// Sends the ids of a file, as a trial or for good.
import { Problem, author, headerText, path, query } from '../lib/api.js';
import { t } from '../texts/texts.js';

/** Sends a body, telling how much of it is sent. */
function upload(url, method, body, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.setRequestHeader('content-type', 'application/json');
    request.setRequestHeader('x-author', headerText(author.get()));
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Problem(0, { detail: t('send.theServerCannotBeReachedNothing') }));
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
