// The two parts of a sender: all kinds of call, and after a word from outside, while the platform is killed, many events.
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';

export const address = process.env.AUDIENCE_ADDRESS;
const name = process.env.AUDIENCE_LIBRARY;
export const ids = { user: `${name}-user`, anonymous: `${name}-anonymous`, old: `${name}-old` };
export const traits = { plan: 'pro', city: 'Köln 😀', address: { zip: '50667' } };
export const order = { total: 12.5, lines: [{ sku: 'a', n: 2 }], at: new Date('2026-01-02T03:04:05.678Z'), none: null };
export const ticks = Array.from({ length: 60 }, (_, index) => index + 1);

/** Says that the first part is sent, and waits for the word to go on. */
export async function half() {
  console.log('sent');
  const lines = createInterface({ input: process.stdin });
  await new Promise((resolve) => lines.once('line', resolve));
  lines.close();
}

/** Waits, for a while, until so many events of the user count: a library tries again for as long as its page is there. */
export async function arrived(count) {
  for (let tries = 0; tries < 100; tries++) {
    const profile = await fetch(`${address}/api/users/${ids.user}`).then((answer) => answer.json(), () => ({}));
    if (profile.eventCount >= count) break;
    await setTimeout(200);
  }
}
