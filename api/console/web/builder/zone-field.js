// The zone in which days begin and times are read: the platform's, each user's own, or a named one.
import { html } from '../lib/html.js';
import { zone as shownZone } from '../lib/settings.js';
import { useStore } from '../lib/store.js';
import { ZONE_NAMES, platformZone } from '../lib/zones.js';
import { Combobox } from '../parts/combobox.js';
import { t } from '../texts/texts.js';

const ZONES = ZONE_NAMES.map((value) => ({ value, hint: '' }));

/** `value` is as rules have it: nothing for the platform's zone, `user`, or a name. */
export function ZoneField({ value, onChange, invalid, label = t('zoneField.timeZone') }) {
  const platform = useStore(platformZone);
  const kind = value === undefined ? 'platform' : value === 'user' ? 'user' : 'named';
  const choose = ({ target: { value: chosen } }) =>
    onChange(
      { platform: undefined, user: 'user' }[chosen] ?? (chosen === 'named' ? shownZone.get() : undefined),
    );
  return html`
    <select
      class="pill"
      aria-label=${label}
      aria-invalid=${invalid && kind !== 'named' ? 'true' : undefined}
      value=${kind}
      onChange=${choose}
    >
      <option value="platform">
        ${platform ? t('zoneField.ofThePlatformNamed', { zone: platform }) : t('zoneField.ofThePlatform')}
      </option>
      <option value="user">${t('zoneField.theirOwn')}</option>
      <option value="named">${t('zoneField.ofAPlace')}</option>
    </select>
    ${kind === 'named' &&
    html`
      <${Combobox}
        className="pill field"
        label=${t('zoneField.labelName', { label })}
        value=${String(value)}
        options=${ZONES}
        placeholder=${t('zoneField.suchAs')}
        invalid=${invalid}
        onChange=${onChange}
      />
    `}
  `;
}
