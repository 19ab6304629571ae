// The platform's time zone: where days begin in rules that name no zone.
import { html, useState } from '../lib/html.js';
import { ask } from '../lib/api.js';
import { dateTime } from '../lib/format.js';
import { useLoad } from '../lib/load.js';
import { may } from '../lib/session.js';
import { toast, toastProblem } from '../lib/toast.js';
import { ZONE_NAMES } from '../lib/zones.js';
import { confirm } from './dialog.js';
import { t } from '../texts/texts.js';

const load = (signal) => ask('GET', '/api/timezone', { signal });

export function TimezoneCard() {
  const { data: answer, reload } = useLoad(load, []);
  const [isSaving, setSaving] = useState(false);
  if (!answer) return null;
  const { timezone, updatedAt, updatedBy } = answer.data;
  const choose = async (event) => {
    const select = event.target;
    const chosen = select.value;
    const answered = await confirm({
      title: t('timezone.askTitle', { zone: chosen }),
      text: t('timezone.askText', { zone: chosen, before: timezone }),
      confirm: t('timezone.set'),
      note: true,
    });
    if (!answered) {
      select.value = timezone;
      return;
    }
    setSaving(true);
    try {
      const body = { timezone: chosen, ...(answered.note && { note: answered.note }) };
      await ask('PUT', '/api/timezone', { body, etag: answer.etag });
      toast(t('timezone.saved', { zone: chosen }));
    } catch (problem) {
      select.value = timezone;
      toastProblem(problem);
    }
    setSaving(false);
    reload();
  };
  return html`
    <section class="card" aria-label=${t('timezone.title')}>
      <div class="card-head">
        <h2>${t('timezone.title')}</h2>
        <select
          class="select narrow-max"
          aria-label=${t('timezone.timezone')}
          value=${timezone}
          disabled=${isSaving || !may('system:write')}
          onChange=${choose}
        >
          ${[...new Set([timezone, ...ZONE_NAMES])].map(
            (name) => html`<option value=${name} data-code>${name}</option>`,
          )}
        </select>
      </div>
      <p class="card-body small soft">
        ${t('timezone.whatItIsFor')}${' '}
        ${updatedAt && t('timezone.setBy', { author: updatedBy, at: dateTime(updatedAt) })}
      </p>
    </section>
  `;
}
