// Files of the server, saved under a name that says what they are.
import { Problem, reach } from './api.js';

/** The date, as it stands in the names of files. */
export const today = () => new Date().toISOString().slice(0, 10);

/** Fetches a file and saves it under a name: that of the server would be the same for every segment. */
export async function saveAs(url, name) {
  const response = await reach(url, {}, true);
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
  saveBlob(await response.blob(), name);
}

/** Saves a text that was made here. */
export const saveText = (text, type, name) => saveBlob(new Blob([text], { type }), name);

function saveBlob(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
