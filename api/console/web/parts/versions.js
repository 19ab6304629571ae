// Every version of a segment or a trait with who, when and why; what differs between two; and the way back to one.
import { html, useState } from '../lib/html.js';
import { ask, read } from '../lib/api.js';
import { dateTime, relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { toast, toastProblem } from '../lib/toast.js';
import { Diff } from './diff.js';
import { Loading, NotOffered, ProblemBanner, stateText } from './feedback.js';
import { t } from '../texts/texts.js';

/**
 * @param {object} props
 * @param {string} props.base the path of the document in the API
 * @param {number} props.newest its newest version
 * @param {string} props.etag
 * @param {() => void} props.reload
 * @param {(version: any) => string | undefined} props.describeVersion what a version says, in words
 * @param {(version: any) => Promise<{ note?: string } | boolean | undefined>} props.askRollback asks before a version comes back
 */
export function Versions({ base, newest, etag, reload, describeVersion, askRollback }) {
  const { data, problem } = useLoad((signal) => read(`${base}/versions`, signal), [base, newest]);
  const [pair, setPair] = useState(undefined);
  if (problem?.isMissingPath)
    return html`<section class="card"><${NotOffered} what=${t('versions.theHistoryOfVersions')} /></section>`;
  if (problem) return html`<${ProblemBanner} problem=${problem} />`;
  if (!data) return html`<${Loading} />`;
  const versions = [...data.items].reverse();
  const [from, to] = pair ?? (versions.length > 1 ? [versions[1].version, versions[0].version] : []);
  const rollback = async (one) => {
    const answer = await askRollback(one);
    if (!answer) return;
    const note = typeof answer === 'object' && answer.note ? { note: answer.note } : {};
    try {
      const { data: saved } = await ask('POST', `${base}/rollback`, {
        etag,
        body: { version: one.version, ...note },
      });
      toast(t('versions.hasTheContentOf', { saved: saved.version, version: one.version }));
      setPair(undefined);
      reload();
    } catch (failed) {
      toastProblem(failed);
    }
  };
  return html`
    <div class="split even">
      <section class="card" aria-label=${t('versions.versions')}>
        <div class="card-head"><h2>${t('versions.versions')}</h2></div>
        <ol class="list versions">
          ${versions.map(
            (one, index) => html`
              <${Version}
                key=${one.version}
                version=${one}
                words=${describeVersion(one)}
                isInForce=${index === 0}
                isShown=${to === one.version}
                onChanges=${versions[index + 1] &&
                (() => setPair([versions[index + 1].version, one.version]))}
                onRollback=${index > 0 && (() => rollback(one))}
              />
            `,
          )}
        </ol>
      </section>
      ${from !== undefined &&
      html`
        <section class="card" aria-label=${t('versions.differences')}>
          <div class="card-head">
            <h2>${t('versions.whatChanged')}</h2>
            <div class="row">
              <${VersionChoice}
                label=${t('versions.fromVersion')}
                value=${from}
                versions=${versions}
                onChange=${(next) => setPair([next, to])}
              />
              <span class="muted">${t('versions.to')}</span>
              <${VersionChoice}
                label=${t('versions.toVersion')}
                value=${to}
                versions=${versions}
                onChange=${(next) => setPair([from, next])}
              />
            </div>
          </div>
          <div class="card-body"><${Diff} base=${base} from=${from} to=${to} /></div>
        </section>
      `}
    </div>
  `;
}

/** The question before a version comes back. */
export const rollbackQuestion = (version) => ({
  title: t('versions.backToVersion', { version }),
  text: t('versions.aNewVersionIsSaved', { version }),
  confirm: t('versions.rollBack'),
  note: true,
});

function VersionChoice({ label, value, versions, onChange }) {
  return html`
    <select
      class="select narrow"
      aria-label=${label}
      value=${value}
      onChange=${(event) => onChange(Number(event.target.value))}
    >
      ${versions.map((one) => html`<option value=${one.version}>${t('versions.short', one)}</option>`)}
    </select>
  `;
}

/** One version; `onChanges` and `onRollback` are there where that can be done. */
function Version({ version: one, words, isInForce, isShown, onChanges, onRollback }) {
  return html`
    <li>
      <div class="spread">
        <div>
          <strong>${t('versions.version', { version: one.version })}</strong>${' '}
          ${isInForce && html`<span class="badge good">${t('versions.inForce')}</span>`}
          <div class="small muted">
            <time datetime=${one.updatedAt} title=${dateTime(one.updatedAt)}>${relative(one.updatedAt)}</time>
            ${one.updatedBy ? ` ${t('versions.byAuthor', { author: one.updatedBy })}` : ''}
            ${one.status ? ` · ${stateText(one.status)}` : ''}
          </div>
        </div>
        <div class="row">
          ${onChanges &&
          html`
            <button
              type="button"
              class="button quiet small"
              aria-pressed=${String(isShown)}
              onClick=${onChanges}
            >
              ${t('versions.changes')}
            </button>
          `}
          ${onRollback &&
          html`
            <button type="button" class="button small" onClick=${onRollback}>
              ${t('versions.rollBack')}
            </button>
          `}
        </div>
      </div>
      ${one.note && html`<p class="note">“${one.note}”</p>`}
      ${words && html`<p class="small soft clamp">${words}</p>`}
    </li>
  `;
}
