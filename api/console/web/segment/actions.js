// The acts on a segment. Those that move members say whom before they are done.
import { html, useState } from '../lib/html.js';
import { navigate } from '../lib/router.js';
import { toast, toastProblem } from '../lib/toast.js';
import { confirm } from '../parts/dialog.js';
import { confirmEffect } from '../parts/effect-dialog.js';
import { Icon } from '../parts/icon.js';
import { Menu } from '../parts/menu.js';
import { many, t } from '../texts/texts.js';
import { perform, undoOf } from './acts.js';

const KEEP = t('actions.toKeepItInTheList');
const LOST = t('actions.thisCannotBeUndoneToKeep');

/** The question before an act; none for one that moves nobody. */
function questionOf(action, segment) {
  const { name } = segment;
  const nobody = { segments: [{ segment }] };
  switch (action) {
    case 'archive':
      return confirmEffect({
        title: t('actions.archiveName', { name }),
        text: t('actions.allMembersLeaveItAndNobody'),
        confirm: t('actions.archive'),
        note: true,
        change: nobody,
      });
    case 'deactivate':
      return confirmEffect({
        title: t('actions.deactivateName', { name }),
        text: t('actions.allMembersLeaveItUntilIt'),
        confirm: t('actions.deactivate'),
        note: true,
        change: nobody,
      });
    case 'activate':
      // The members of a list are there already.
      if (segment.type === 'STATIC') return Promise.resolve({ note: '' });
      return confirmEffect({
        title: t('actions.activateName', { name }),
        text: t('actions.whoeverMeetsItsRulesEntersIt'),
        confirm: t('actions.activate'),
        note: true,
        change: { segments: [{ segment, rules: segment.rules }] },
      });
    case 'delete':
      return confirm({
        title: t('actions.deleteName', { name }),
        text: t('actions.itsSizeLeaveItAction', {
          size: many('count.member', segment.size ?? 0),
          action: hasUndo(action, segment) ? KEEP : LOST,
        }),
        confirm: t('common.delete'),
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
    isStatic && { text: t('common.importMembers'), icon: 'import', run: to(`/imports?segment=${id}`) },
    !isStatic && { text: t('actions.duplicate'), icon: 'copy', run: to(`/segments/new?copy=${id}`) },
    { text: t('actions.itsAuditLog'), icon: 'audit', run: to(`/audit?kind=segment&id=${id}`) },
    null,
    segment.status !== 'ARCHIVED' && {
      text: t('actions.archive2'),
      icon: 'archive',
      run: () => act('archive'),
    },
    { text: t('common.deleteEllipsis'), icon: 'trash', danger: true, run: () => act('delete') },
  ].filter((item) => item !== false);
}

/** True if an act can be taken back: the members of a deleted list are gone. */
const hasUndo = (action, segment) =>
  action !== 'revive' && !(action === 'delete' && segment.type === 'STATIC');

const MAIN = {
  ACTIVE: ['deactivate', 'pause', t('actions.deactivate'), ''],
  ARCHIVED: ['revive', 'undo', t('actions.bringBack'), 'primary'],
};
const ACTIVATE = ['activate', 'play', t('actions.activate'), ''];

export function Actions({ segment, etag, reload }) {
  const [isBusy, setBusy] = useState(false);
  const act = async (action) => {
    if (isBusy) return;
    const answer = await questionOf(action, segment);
    if (!answer) return;
    setBusy(true);
    try {
      await perform(action, segment, etag, answer.note);
      const undo = async () => {
        await undoOf(action, segment)();
        reload();
      };
      toast(t(`actions.done.${action}`, { name: segment.name }), hasUndo(action, segment) ? { undo } : {});
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
      <button
        type="button"
        class="button ${tone}"
        aria-disabled=${isBusy ? 'true' : undefined}
        onClick=${() => act(action)}
      >
        <${Icon} name=${icon} />
        ${text}
      </button>
      ${segment.status !== 'ARCHIVED' &&
      html`
        <a class="button primary" href="/segments/${encodeURIComponent(segment.id)}/edit">
          <${Icon} name="edit" />
          ${t('actions.edit')}
        </a>
      `}
      <${Menu} label=${t('actions.more')} items=${menuItems(segment, act)} quiet=${false} />
    </div>
  `;
}
