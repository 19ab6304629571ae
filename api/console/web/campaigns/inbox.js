// The mails that the sandbox kept instead of sending them: their text parts, since the policy of the console lets in no foreign HTML.
import { html } from '../lib/html.js';
import { read } from '../lib/api.js';
import { relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { Empty, Loading, ProblemBanner } from '../parts/feedback.js';
import { t } from '../texts/texts.js';

export function Inbox() {
  const { data, problem, reload } = useLoad((signal) => read('/api/sandbox/mails', signal), [], {
    every: 3000,
  });
  return html`
    <${ProblemBanner} problem=${problem} retry=${reload} />
    ${!data && !problem && html`<${Loading} />`}
    ${data?.items.length === 0 &&
    html`<${Empty} icon="mail" title=${t('campaigns.noMail')}>${t('campaigns.withoutAServer')}<//>`}
    ${data?.items
      .slice(0, 50)
      .map(
        (mail) => html`
          <details class="card" key=${mail.id}>
            <summary class="card-body">
              <strong>${mail.subject}</strong>${' '}
              <span class="muted small">${mail.to} · ${relative(mail.at)}</span>
            </summary>
            <pre class="card-body">${mail.text}</pre>
          </details>
        `,
      )}
  `;
}
