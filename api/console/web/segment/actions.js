// What can be done with a segment. Acts that move members say whom before they are done.
import { html, useState } from '../lib/html.js';
import { plural } from '../lib/format.js';
import { navigate } from '../lib/router.js';
import { toast, toastProblem } from '../lib/toast.js';
import { confirm } from '../parts/dialog.js';
import { confirmEffect } from '../parts/effect-dialog.js';
import { Icon } from '../parts/icon.js';
import { Menu } from '../parts/menu.js';
import { perform, undoOf } from './acts.js';

const DONE = {
  revive: 'is back; it is inactive until it is activated',
  activate: 'is active',
  deactivate: 'is inactive',
  archive: 'is archived',
  delete: 'is deleted',
};

const KEEP = 'To keep it in the list, archive it instead.';
const LOST = 'This cannot be undone; to keep it, archive it instead.';

/** What is asked before an act; nothing for one that moves nobody. */
function questionOf(action, segment) {
  const name = `“${segment.name}”`;
  const nobody = { segments: [{ segment }] };
  switch (action) {
    case 'archive':
      return confirmEffect({
        title: `Archive ${name}?`,
        text: 'All members leave it, and nobody can edit it until it is brought back. Its versions stay.',
        confirm: 'Archive',
        note: true,
        change: nobody,
      });
    case 'deactivate':
      return confirmEffect({
        title: `Deactivate ${name}?`,
        text: 'All members leave it until it is activated again.',
        confirm: 'Deactivate',
        note: true,
        change: nobody,
      });
    case 'activate':
      // The members of a list are there already.
      if (segment.type === 'STATIC') return Promise.resolve({ note: '' });
      return confirmEffect({
        title: `Activate ${name}?`,
        text: 'Whoever meets its rules enters it, and follows them from then on.',
        confirm: 'Activate',
        note: true,
        change: { segments: [{ segment, rules: segment.rules }] },
      });
    case 'delete':
      return confirm({
        title: `Delete ${name}?`,
        text: `Its ${plural(segment.size ?? 0, 'member')} leave it. ${hasUndo(action, segment) ? KEEP : LOST}`,
        confirm: 'Delete',
        danger: true,
      });
    default:
      return Promise.resolve({ note: '' });
  }
}

function menuItems(segment, act) {
  const isStatic = segment.type === 'STATIC';
  const id = encodeURIComponent(segment.id);
  const to = (url) => () => navigate(url);
  return [
    isStatic && { text: 'Import members', icon: 'import', run: to(`/imports?segment=${id}`) },
    !isStatic && { text: 'Duplicate', icon: 'copy', run: to(`/segments/new?copy=${id}`) },
    { text: 'Its audit log', icon: 'audit', run: to(`/audit?kind=segment&id=${id}`) },
    null,
    segment.status !== 'ARCHIVED' && { text: 'Archive…', icon: 'archive', run: () => act('archive') },
    { text: 'Delete…', icon: 'trash', danger: true, run: () => act('delete') },
  ].filter((item) => item !== false);
}

/** Whether an act can be taken back: the members of a deleted list are gone. */
const hasUndo = (action, segment) =>
  action !== 'revive' && !(action === 'delete' && segment.type === 'STATIC');

const MAIN = {
  ACTIVE: ['deactivate', 'pause', 'Deactivate', ''],
  ARCHIVED: ['revive', 'undo', 'Bring back', 'primary'],
};
const ACTIVATE = ['activate', 'play', 'Activate', ''];

export function Actions({ segment, etag, reload }) {
  const [isBusy, setBusy] = useState(false);
  const act = async (action) => {
    const answer = await questionOf(action, segment);
    if (!answer) return;
    setBusy(true);
    try {
      await perform(action, segment, etag, answer.note);
      const undo = async () => {
        await undoOf(action, segment)();
        reload();
      };
      toast(`“${segment.name}” ${DONE[action]}.`, hasUndo(action, segment) ? { undo } : {});
      if (action === 'delete') navigate('/segments');
      else reload();
    } catch (problem) {
      toastProblem(problem);
    }
    setBusy(false);
  };
  const [action, icon, text, tone] = MAIN[segment.status] ?? ACTIVATE;
  return html`
    <div class="actions">
      <button type="button" class="button ${tone}" disabled=${isBusy} onClick=${() => act(action)}>
        <${Icon} name=${icon} />
        ${text}
      </button>
      ${segment.status !== 'ARCHIVED' &&
      html`
        <a class="button primary" href="/segments/${encodeURIComponent(segment.id)}/edit">
          <${Icon} name="edit" />Edit
        </a>
      `}
      <${Menu} label="More" items=${menuItems(segment, act)} quiet=${false} />
    </div>
  `;
}
