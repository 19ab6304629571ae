// The times at which the rule of a segment was edited, for charts.
import { path, read } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { t } from '../texts/texts.js';

/** The versions of a segment, the oldest first, whose members another rule or state decides than those of the one before. */
export function edits(versions) {
  const meaning = ({ rules, status }) => JSON.stringify([rules, status === 'ACTIVE']);
  return versions.filter((one, index) => index > 0 && meaning(one) !== meaning(versions[index - 1]));
}

/** The edits of a segment as marks of a chart; none until they are known. */
export function useEdits(segment) {
  const { data } = useLoad(
    (signal) => read(path`/api/segments/${segment.id}/versions`, signal),
    [segment.id, segment.version],
    { keep: true },
  );
  return edits(data?.items ?? []).map(({ version, updatedAt, updatedBy }) => ({
    at: updatedAt,
    name: t('versions.short', { version }),
    text: t('edits.versionByAuthor', { version, author: updatedBy }),
  }));
}
