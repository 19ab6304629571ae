// The mails that the sandbox kept instead of sending them: their text parts, since the policy of the console lets in no foreign HTML.
import { html } from '../lib/html.js';
import { read } from '../lib/api.js';
import { relative } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { Empty } from '../parts/feedback.js';
import { Found } from '../parts/listing.js';
import { t } from '../texts/texts.js';

const SHOWN = 50;

export function Inbox() {
  const found = useLoad((signal) => read('/api/sandbox/mails', signal), [], { every: 3000 });
  const empty = html`
    <${Empty} icon="mail" title=${t('campaigns.noMail')}>${t('campaigns.withoutAServer')}<//>
  `;
  return html`<${Found} ...${found} empty=${empty}>${(mails) => mails.slice(0, SHOWN).map(mailCard)}<//>`;
}

const mailCard = (mail) => html`
  <details class="card" key=${mail.id}>
    <summary class="card-body">
      <strong>${mail.subject}</strong>${' '}
      <span class="muted small">${mail.to} · ${relative(mail.at)}</span>
    </summary>
    <pre class="card-body">${mail.text}</pre>
  </details>
`;
