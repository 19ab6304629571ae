// Words for the status of a campaign, the state of a send, and the reasons why somebody gets nothing.
import { html } from '../lib/html.js';
import { t } from '../texts/texts.js';

const STATUS = {
  draft: ['accent', t('feedback.draft')],
  scheduled: ['accent', t('campaigns.scheduled')],
  active: ['good', t('campaigns.sending')],
  paused: ['warn', t('feedback.paused')],
  completed: ['', t('campaigns.completed')],
  cancelled: ['', t('campaigns.cancelled')],
};

export function StatusBadge({ status }) {
  const [tone, text] = STATUS[status] ?? ['', status];
  return html`<span class="badge ${tone}">${text}</span>`;
}

const WORDS = {
  reachable: t('campaigns.reachable'),
  no_address: t('campaigns.noAddress'),
  no_consent: t('campaigns.noConsent'),
  suppressed: t('campaigns.suppressed'),
  duplicate_address: t('campaigns.duplicateAddress'),
  quiet: t('campaigns.quiet'),
  capped: t('campaigns.capped'),
  budget: t('campaigns.budget'),
  hold_out: t('campaigns.holdOut'),
  left_segment: t('campaigns.leftSegment'),
  in_segment: t('campaigns.inSegment'),
  missing_variable: t('campaigns.missingVariable'),
  over: t('campaigns.over'),
  planned: t('campaigns.waiting'),
  claimed: t('campaigns.waiting'),
  handing: t('campaigns.handing'),
  accepted: t('campaigns.accepted'),
  deferred: t('campaigns.deferred'),
  rejected: t('campaigns.rejected'),
  unknown: t('campaigns.inDoubt'),
  held: t('campaigns.held'),
  cancelled: t('campaigns.cancelled'),
};

/** Counts by word, as a list; words that mean the same stand together. */
export function CountList({ counts, samples = {} }) {
  const rows = new Map();
  for (const [name, count] of Object.entries(counts)) {
    const word = WORDS[name] ?? name;
    const row = rows.get(word) ?? { count: 0, users: [] };
    rows.set(word, { count: row.count + Number(count), users: [...row.users, ...(samples[name] ?? [])] });
  }
  return html`
    <div class="table-wrap">
      <table>
        <tbody>
          ${[...rows].map(
            ([word, { count, users }]) => html`
              <tr key=${word}>
                <th scope="row">${word}</th>
                <td class="end number">${count}</td>
                <td class="soft narrow-hide">
                  ${users.map(
                    (user) => html`<a href=${`/users/${encodeURIComponent(user)}`}>${user}</a>${' '}`,
                  )}
                </td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}
