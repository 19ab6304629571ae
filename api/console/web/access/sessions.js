// Who is signed in, and from where: one's own sessions, or everybody's for whoever sees members.
import { html } from '../lib/html.js';
import { ask, path, read } from '../lib/api.js';
import { relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { toastProblem } from '../lib/toast.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { t } from '../texts/texts.js';

export function Sessions() {
  const { data, problem, reload } = useLoad((signal) => read('/api/sessions', signal), [], { every: 5000 });
  const end = async (session) => {
    try {
      await ask('DELETE', path`/api/sessions/${session.id}`);
      reload();
    } catch (fault) {
      toastProblem(fault);
    }
  };
  if (!data)
    return problem ? html`<${ProblemBanner} problem=${problem} retry=${reload} />` : html`<${Loading} />`;
  if (data.items.length === 0) return html`<${Empty} icon="user" title=${t('access.nobodyIsSignedIn')} />`;
  return html`
    <div class="table-wrap">
      <table>
        <thead>
          <tr>
            <th scope="col">${t('access.email')}</th>
            <th scope="col">${t('access.address')}</th>
            <th scope="col" class="narrow-hide">${t('access.program')}</th>
            <th scope="col">${t('access.lastUsed')}</th>
            <th scope="col">${t('access.what')}</th>
          </tr>
        </thead>
        <tbody>
          ${data.items.map(
            (session) => html`
              <tr key=${session.id}>
                <td>
                  ${session.email}
                  ${session.current && html`${' '}<span class="badge accent">${t('access.thisOne')}</span>`}
                </td>
                <td>${session.address}</td>
                <td class="narrow-hide">${session.agent}</td>
                <td>${relative(session.usedAt)}</td>
                <td>
                  <button class="button small" type="button" onClick=${() => end(session)}>
                    ${t('access.end')}
                  </button>
                </td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}
