// The versions of a segment.
import { html } from '../lib/html.js';
import { path } from '../lib/api.js';
import { describe } from '../rules/describe.js';
import { confirm } from '../parts/dialog.js';
import { confirmEffect } from '../parts/effect-dialog.js';
import { Versions, rollbackQuestion } from '../parts/versions.js';

/** Asks before a version comes back, with who enters and leaves by it. */
function askRollback(segment, one) {
  const question = rollbackQuestion(one.version);
  if (!one.rules || segment.status !== 'ACTIVE') return confirm(question);
  return confirmEffect({ ...question, change: { segments: [{ segment, rules: one.rules }] } });
}

export function SegmentVersions({ segment, etag, reload }) {
  return html`
    <${Versions}
      base=${path`/api/segments/${segment.id}`}
      newest=${segment.version}
      etag=${etag}
      reload=${reload}
      describeVersion=${(one) => one.rules && describe(one.rules)}
      askRollback=${(one) => askRollback(segment, one)}
    />
  `;
}
