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

export function TraitsPage() {
  useTitle('Computed traits');
  const { data, problem, reload } = useLoad((signal) => read('/api/traits', signal), [], { every: 5000 });
  const open = (to) => (event) => !event.target.closest('a') && navigate(to);
  return html`
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Computed traits</h1>
          <p class="lead">
            Amounts of what a user did, under a name: rules test them, ranks order by them, and they follow
            every event.
          </p>
        </div>
        <div class="actions">
          <a class="button primary" href="/traits/new"><${Icon} name="plus" />New trait</a>
        </div>
      </header>
      <${ProblemBanner} problem=${problem} retry=${reload} />
      ${!data && !problem && html`<${Loading} />`}
      ${data?.items.length === 0 &&
      html`
        <${Empty}
          icon="trait"
          title="No computed trait"
          action=${html`<a class="button primary" href="/traits/new">New trait</a>`}
        >
          Such as: what a user spent, how often they came, when they came last.
        <//>
      `}
      ${data?.items.length > 0 &&
      html`
        <div class="table-wrap">
          <table>
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">What it is</th>
                <th scope="col" class="narrow-hide end">Version</th>
                <th scope="col" class="narrow-hide">Changed</th>
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
                      ${new Date(one.updatedAt).getTime() > 86_400_000 ? relative(one.updatedAt) : 'shipped'}
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
