// Acts on a segment: how each is done, whom it moves, and what takes it back.
import { ask, path } from '../lib/api.js';

/** Does an act; the body carries the note. */
export function perform(action, segment, etag, note) {
  const base = path`/api/segments/${segment.id}`;
  const body = note ? { body: { note } } : {};
  if (action === 'delete') return ask('DELETE', base, { etag });
  if (action === 'revive')
    return ask('POST', `${base}/rollback`, { etag, body: { version: segment.version } });
  return ask('POST', `${base}/${action}`, { etag, ...body });
}

/** The change that an act is for members: none where those of a list are there already. */
export function moved(action, segment) {
  if (action !== 'activate') return [{ segment }];
  return segment.type === 'STATIC' ? [] : [{ segment, rules: segment.rules }];
}

const BACK = { activate: 'deactivate', deactivate: 'activate' };

/**
 * The act that takes another back: the state before comes again, as a new version.
 * @param {string} action
 * @param {any} segment as it was before the act
 */
export function undoOf(action, segment) {
  const base = path`/api/segments/${segment.id}`;
  return async () => {
    if (BACK[action]) return ask('POST', `${base}/${BACK[action]}`, {});
    // An archived or deleted segment comes back inactive.
    await ask('POST', `${base}/rollback`, { body: { version: segment.version } });
    if (segment.status === 'ACTIVE') await ask('POST', `${base}/activate`, {});
  };
}

/** The edit that takes another back: the content of the version before. */
export const undoEdit = (id, version) => () =>
  ask('POST', `${path`/api/segments/${id}`}/rollback`, { body: { version } });
