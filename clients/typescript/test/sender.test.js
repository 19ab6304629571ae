// The sender while the server is killed: every event arrives, and counts once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AudienceManager, EventSender } from '../dist/index.js';
import { Instance } from './instance.js';

const EVENTS = 4_000;
const USERS = 10;

test('a server that is killed in between has everything once in the end', async () => {
  const instance = await Instance.start();
  let retries = 0;
  const sender = new EventSender({
    baseUrl: instance.address,
    batchEvents: 40,
    backoffMilliseconds: 20,
    maxBackoffMilliseconds: 200,
    onRetry: () => (retries += 1),
  });
  const sent = new Set();
  for (let number = 0; number < EVENTS; number += 1) {
    const messageId = `m${number}`;
    sent.add(messageId);
    sender.send({ userId: `u${number % USERS}`, eventType: 'e', messageId, properties: { number } });
    if (number % 1_000 === 500) {
      // Some batches are on their way, and one may be on disk without its answer.
      while (sender.waiting > 300) await new Promise((resolve) => setTimeout(resolve, 1));
      await instance.end('SIGKILL');
      setTimeout(() => void (instance.restarted = instance.run()), 150);
    }
    if (number % 1_000 === 999) await instance.restarted;
  }
  assert.equal(await sender.close(60_000), 0);
  assert.ok(retries >= 1, 'the server was never away: this test has tested nothing');
  const client = new AudienceManager({ baseUrl: instance.address });
  const arrived = [];
  for (let user = 0; user < USERS; user += 1) {
    const { eventCount, events } = await client.exportUser(`u${user}`);
    assert.equal(eventCount, EVENTS / USERS, `events that count of u${user}`);
    arrived.push(...events.map((event) => event.messageId));
  }
  assert.deepEqual(new Set(arrived), sent, 'every event arrived');
  await instance.stop();
});

test('what waits when the program ends is sent by itself', async () => {
  const { spawn } = await import('node:child_process');
  const instance = await Instance.start();
  const script = `
    import { EventSender } from ${JSON.stringify(import.meta.resolve('../dist/index.js'))};
    const sender = new EventSender({ baseUrl: ${JSON.stringify(instance.address)} });
    for (let number = 0; number < 3; number += 1) sender.send({ userId: 'last', eventType: 'e' });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
  assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 0);
  const client = new AudienceManager({ baseUrl: instance.address });
  assert.equal((await client.readUser('last')).eventCount, 3);
  await instance.stop();
});
