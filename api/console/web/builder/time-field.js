// An instant. It is written and shown in UTC, so that a rule says the same wherever it is read.
import { html } from '../lib/html.js';

const asField = (value) => {
  const at = new Date(value);
  return Number.isNaN(at.getTime()) ? '' : at.toISOString().slice(0, 19);
};

export function TimeField({ value, label, onChange, invalid }) {
  return html`
    <span class="joined">
      <input
        class="pill"
        type="datetime-local"
        step="1"
        aria-label="${label}, UTC"
        aria-invalid=${invalid ? 'true' : undefined}
        value=${asField(value)}
        onChange=${(event) =>
          event.target.value &&
          onChange(`${event.target.value.length === 16 ? `${event.target.value}:00` : event.target.value}Z`)}
      />
      <span class="pill type" aria-hidden="true">UTC</span>
    </span>
  `;
}
