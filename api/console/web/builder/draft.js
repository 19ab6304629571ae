// The builder's draft: all that is edited besides the rules, and how the whole is saved.
import { ask, path } from '../lib/api.js';

export const EMPTY = { name: '', description: '', tags: '', owner: '', type: 'DYNAMIC', id: '' };

/** The fields of a form, of a segment as the server gives it. */
export function fieldsOf(segment) {
  return {
    name: segment.name,
    description: segment.description ?? '',
    tags: (segment.tags ?? []).join(', '),
    owner: segment.owner ?? '',
    type: segment.type,
    id: segment.id,
  };
}

/** The body that the server takes. */
export function bodyOf(fields, rules, note, isNew) {
  const body = { name: fields.name.trim(), type: fields.type };
  if (fields.id.trim()) body.id = fields.id.trim();
  if (fields.description.trim()) body.description = fields.description.trim();
  const tags = fields.tags
    .split(',')
    .map((tag) => tag.trim())
    .filter(Boolean);
  if (tags.length > 0) body.tags = tags;
  if (fields.owner.trim()) body.owner = fields.owner.trim();
  if (fields.type === 'DYNAMIC') body.rules = rules;
  // A new list begins without members; an edit leaves those that it has.
  else if (isNew) body.members = [];
  if (note.trim()) body.note = note.trim();
  return body;
}

/** Creates a segment; the key keeps a repeated click from making two. */
export function create(body, status, key) {
  return ask('POST', '/api/segments', { body: { ...body, status }, headers: { 'idempotency-key': key } });
}

/** Saves an edit over the version that was read, or over whichever there is. */
export function save(segment, body, etag) {
  const url = path`/api/segments/${segment.id}`;
  if (segment.type === 'STATIC') {
    // A list is not replaced by its name's edit.
    const { type: _, ...change } = body;
    return ask('PATCH', url, { body: { description: null, tags: null, owner: null, ...change }, etag });
  }
  return ask('PUT', url, { body: { ...body, status: segment.status }, etag });
}
