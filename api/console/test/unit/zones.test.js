// Times with their zones: what is typed in a zone is the instant that people there mean.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { dateMinute, dateTime, zoneName } from '../../web/lib/format.js';
import { locale, zone } from '../../web/lib/settings.js';
import { fieldOf, instantOf } from '../../web/lib/zones.js';

test('a time is read in its zone, in summer and in winter', () => {
  assert.equal(instantOf('2026-01-31T12:00', 'UTC'), '2026-01-31T12:00:00Z');
  assert.equal(instantOf('2026-01-31T12:00:00', 'Europe/Berlin'), '2026-01-31T11:00:00Z');
  assert.equal(instantOf('2026-07-31T12:00:00', 'Europe/Berlin'), '2026-07-31T10:00:00Z');
  assert.equal(instantOf('2026-07-31T00:00:30', 'America/New_York'), '2026-07-31T04:00:30Z');
  assert.equal(instantOf('2026-07-31T00:00', 'Asia/Kolkata'), '2026-07-30T18:30:00Z');
  assert.equal(instantOf('nothing', 'UTC'), undefined);
});

test('a time that comes twice is the first, one that is left out the one after', () => {
  assert.equal(instantOf('2026-10-25T02:30', 'Europe/Berlin'), '2026-10-25T00:30:00Z');
  assert.equal(instantOf('2026-03-29T02:30', 'Europe/Berlin'), '2026-03-29T01:30:00Z');
});

test('an instant comes back from the field as it was', () => {
  for (const timeZone of ['UTC', 'Europe/Berlin', 'America/New_York', 'Pacific/Chatham']) {
    for (const text of ['2026-01-31T12:00:00', '2026-07-01T00:00:00', '1999-12-31T23:59:59']) {
      assert.equal(fieldOf(instantOf(text, timeZone) ?? '', timeZone), text, timeZone);
    }
  }
  assert.equal(fieldOf('nothing', 'UTC'), '');
});

test('a time is shown in the language and the zone that are chosen, and carries its zone', () => {
  locale.set('en-GB');
  zone.set('UTC');
  assert.match(dateTime('2026-07-31T10:00:00Z'), /^31 Jul 2026, 10:00:00 UTC$/);
  zone.set('Europe/Berlin');
  assert.match(dateMinute('2026-07-31T10:00:00Z'), /^31 Jul 2026, 12:00 (CEST|GMT\+2)$/);
  locale.set('de-DE');
  assert.match(dateTime('2026-07-31T10:00:00Z'), /31\. Juli 2026.* 12:00:00 MESZ/);
  assert.equal(zoneName('2026-01-31T10:00:00Z'), 'MEZ');
});
