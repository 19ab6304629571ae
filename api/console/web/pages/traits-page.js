// The computed traits: named behaviour measures that rules and ranks use.
import { html } from '../lib/html.js';
import { read } from '../lib/api.js';
import { relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { navigate } from '../lib/router.js';
import { measureSubject } from '../rules/describe.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { Icon } from '../parts/icon.js';
import { useTitle } from '../parts/shell.js';
import { t } from '../texts/texts.js';

export function TraitsPage() {
  useTitle(t('common.traits'));
  const { data, problem, reload } = useLoad((signal) => read('/api/traits', signal), [], { every: 5000 });
  const open = (to) => (event) => !event.target.closest('a') && navigate(to);
  return html`
    <div class="page">
      <header class="page-head">
        <div><h1>${t('common.traits')}</h1><p class="lead">${t('traits.amountsOfWhatAUserDid')}</p></div>
        <div class="actions">
          <a class="button primary" href="/traits/new"><${Icon} name="plus" />${t('common.newTrait')}</a>
        </div>
      </header>
      <${ProblemBanner} problem=${problem} retry=${reload} />
      ${!data && !problem && html`<${Loading} />`}
      ${data?.items.length === 0 &&
      html`
        <${Empty}
          icon="trait"
          title=${t('traits.noComputedTrait')}
          action=${html`<a class="button primary" href="/traits/new">${t('common.newTrait')}</a>`}
        >
          ${t('traits.suchAsWhatAUserSpent')}
        <//>
      `}
      ${data?.items.length > 0 &&
      html`
        <div class="table-wrap">
          <table>
            <thead>
              <tr>
                <th scope="col">${t('common.name')}</th>
                <th scope="col">${t('traits.whatItIs')}</th>
                <th scope="col" class="narrow-hide end">${t('traits.version')}</th>
                <th scope="col" class="narrow-hide">${t('common.changed')}</th>
              </tr>
            </thead>
            <tbody>
              ${data.items.map((one) => {
                const to = `/traits/${encodeURIComponent(one.name)}`;
                return html`
                  <tr class="link" key=${one.name} onClick=${open(to)}>
                    <td><a class="title" href=${to}>${one.name}</a></td>
                    <td class="soft">${measureSubject(one.definition)}</td>
                    <td class="narrow-hide end number muted">${one.version}</td>
                    <td class="narrow-hide muted nowrap">
                      ${new Date(one.updatedAt).getTime() > 86_400_000
                        ? relative(one.updatedAt)
                        : t('traits.shipped')}
                    </td>
                  </tr>
                `;
              })}
            </tbody>
          </table>
        </div>
      `}
    </div>
  `;
}
