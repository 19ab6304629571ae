// One user: traits, what they did, the segments they are in, and why.
import { html, useState } from '../lib/html.js';
import { ask, path, read } from '../lib/api.js';
import { useLoad } from '../lib/load.js';
import { navigate, setQuery } from '../lib/router.js';
import { toast, toastProblem } from '../lib/toast.js';
import { confirm } from '../parts/dialog.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { Menu } from '../parts/menu.js';
import { useTitle } from '../parts/shell.js';
import { Explanation } from '../user/explanation.js';
import { Timeline } from '../user/timeline.js';
import { Traits } from '../user/traits.js';
import { many, t } from '../texts/texts.js';

export function UserPage({ id, tab = 'overview', query }) {
  const {
    data: user,
    problem,
    reload,
  } = useLoad((signal) => read(path`/api/users/${id}`, signal), [id], { every: 2500 });
  const base = `/users/${encodeURIComponent(id)}`;
  useTitle(tab === 'timeline' ? t('user.timeline') : '', id, t('common.users'));
  const erase = async () => {
    const answer = await confirm({
      title: t('user.eraseId', { id }),
      text: t('user.everythingOfThisUserIsErased'),
      confirm: t('user.eraseForGood'),
      danger: true,
    });
    if (!answer) return;
    try {
      await ask('DELETE', path`/api/users/${id}`);
      toast(t('user.idIsErased', { id }));
      navigate('/users');
    } catch (failed) {
      toastProblem(failed);
    }
  };
  const exportAll = () => {
    const link = document.createElement('a');
    link.href = path`/api/users/${id}/export`;
    link.download = `${id}.json`;
    link.click();
  };
  if (!user) {
    return html`
      <div class="page">
        ${!problem
          ? html`<${Loading} />`
          : problem.status === 404
            ? html`
                <${Empty}
                  icon="user"
                  title=${t('user.nobodyIsKnownAsId', { id })}
                  action=${html`<a class="button" href="/users">${t('user.searchUsers')}</a>`}
                >
                  ${t('user.aUserIsKnownOnceAny')}
                <//>
              `
            : html`<${ProblemBanner} problem=${problem} retry=${reload} />`}
      </div>
    `;
  }
  return html`
    <div class="page">
      <header class="page-head">
        <div>
          <nav class="crumbs" aria-label=${t('common.wayBack')}>
            <a href="/users">${t('common.users')}</a>
          </nav>
          <h1>${user.userId}</h1>
          <p class="lead">
            ${many('count.event', user.eventCount)}
            ${user.aliases?.length
              ? ` ${t('user.alsoKnownAsValue', { value: user.aliases.join(', ') })}`
              : ''}
          </p>
        </div>
        <div class="actions">
          <${Menu}
            label=${t('user.more')}
            quiet=${false}
            items=${[
              { text: t('user.exportEverything'), icon: 'import', run: exportAll },
              null,
              { text: t('user.erase'), icon: 'trash', danger: true, run: erase },
            ]}
          />
        </div>
      </header>
      <${ProblemBanner} problem=${problem} />
      <nav class="tabs" aria-label=${t('user.partsOfTheUser')}>
        <a href=${base} aria-current=${tab === 'overview' ? 'page' : undefined}>
          ${t('user.segmentsAndTraits')}
        </a>
        <a href="${base}/timeline" aria-current=${tab === 'timeline' ? 'page' : undefined}>
          ${t('user.timeline')}
        </a>
      </nav>
      ${tab === 'timeline'
        ? html`<${Timeline} id=${id} />`
        : html`
            <div class="split">
              <${Segments} user=${user} id=${id} asked=${query.get('why')} />
              <${Traits} user=${user} />
            </div>
          `}
    </div>
  `;
}

function Segments({ user, id, asked }) {
  const [other, setOther] = useState('');
  const { data: all } = useLoad((signal) => read('/api/segments?limit=1000', signal), []);
  const inside = new Set(user.segments.map((one) => one.segmentId));
  const outside = (all?.items ?? []).filter((one) => !inside.has(one.id));
  const shown = asked ?? other;
  const toggle = (segment) => setQuery({ why: asked === segment ? '' : segment });
  const asks = outside.find((one) => one.id === shown);
  return html`
    <section class="card" aria-label=${t('common.segments')}>
      <div class="card-head">
        <h2>${t('user.inSize', { size: many('count.segment', inside.size) })}</h2>
        ${outside.length > 0 &&
        html`
          <select
            class="select narrow-max"
            aria-label=${t('user.whyNotInASegment')}
            value=${asks ? shown : ''}
            onChange=${(event) => {
              setOther('');
              setQuery({ why: event.target.value });
            }}
          >
            <option value="">${t('user.whyNotIn')}</option>
            ${outside.map((one) => html`<option value=${one.id}>${one.name}</option>`)}
          </select>
        `}
      </div>
      ${asks &&
      html`
        <div class="card-body asked">
          <h3>${asks.name}</h3>
          <${Explanation} user=${id} segment=${asks.id} />
        </div>
      `}
      ${user.segments.length === 0
        ? html`<p class="card-body muted">${t('user.inNoSegmentNow')}</p>`
        : html`
            <ul class="list">
              ${user.segments.map(
                (one) => html`
                  <li key=${one.segmentId}>
                    <div class="spread">
                      <a class="title" href="/segments/${encodeURIComponent(one.segmentId)}">${one.name}</a>
                      <button
                        type="button"
                        class="button quiet small"
                        aria-expanded=${String(asked === one.segmentId)}
                        aria-label=${t('user.whyInName', { name: one.name })}
                        onClick=${() => toggle(one.segmentId)}
                      >
                        ${t('user.why')}
                        <span class="turn ${asked === one.segmentId ? 'open' : ''}">
                          <${Icon} name="chevron" />
                        </span>
                      </button>
                    </div>
                    ${asked === one.segmentId && html`<${Explanation} user=${id} segment=${one.segmentId} />`}
                  </li>
                `,
              )}
            </ul>
          `}
    </section>
  `;
}
