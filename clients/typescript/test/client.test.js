// The client against a running instance.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ApiError, AudienceManager, EventSender } from '../dist/index.js';
import { Instance } from './instance.js';

let instance;
let client;

before(async () => {
  instance = await Instance.start();
  client = new AudienceManager({ baseUrl: instance.address });
});

after(() => instance?.stop());

test('operations have their parameters, bodies and answers', async () => {
  const rules = { event: 'purchase', measure: { fn: 'sum', of: 'amount' }, operator: 'gt', value: 100 };
  const segment = await client.createSegment({ id: 'a/b', name: 'Spenders', rules }, { author: 'Zoë' });
  assert.deepEqual([segment.id, segment.version, segment.updatedBy], ['a/b', 1, 'Zoë']);
  const { accepted } = await client.sendEvents({ userId: 'u 1', eventType: 'purchase', properties: { amount: 150 } });
  assert.equal(accepted, 1);
  let members = [];
  for (let round = 0; round < 100 && members.length === 0; round += 1) {
    ({ items: members } = await client.listMembers('a/b', { limit: 10 }));
  }
  assert.deepEqual(members, ['u 1']);
  assert.equal(await client.listMembers('a/b', { format: 'csv' }), 'userId\r\nu 1\r\n');
  await client.createSegment({ id: 'list', name: 'List', type: 'STATIC', members: [] });
  const imported = await client.addMembers('list', { mediaType: 'text/csv', text: 'userId\nx\ny\n' }, { dryRun: true });
  assert.equal(imported.added, 2);
  assert.equal(await client.deleteSegment('list', { ifMatch: '"1"' }), undefined);
});

test('a refusal is an error with its code and places', async () => {
  await assert.rejects(client.readSegment('nothing'), (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.status, error.code], [404, 'not_found']);
    return true;
  });
  await assert.rejects(client.previewSegment({ rules: { event: 'x', operator: 'near' } }), (error) => {
    assert.equal(error.status, 400);
    assert.deepEqual(
      error.errors.map((fault) => fault.pointer),
      ['/rules/operator'],
    );
    return true;
  });
});

test('changes are followed', async () => {
  await client.createSegment({ id: 'seen', name: 'Seen', rules: { event: 'seen' } });
  const changes = client.followChanges({ segment: ['seen'] });
  const first = (async () => {
    for await (const { event, data } of changes) if (data?.userId) return [event, data.userId];
    return undefined;
  })();
  // Until the stream is open, a change may come before it.
  let isThere = false;
  first.then(() => (isThere = true));
  for (let round = 0; !isThere && round < 100; round += 1) {
    await client.sendEvents({ userId: `s${round}`, eventType: 'seen' });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const [event, user] = await first;
  assert.equal(event, 'entered');
  assert.match(user, /^s\d+$/);
});

test('the sender tells what is refused, and keeps to its bounds', async () => {
  const refused = [];
  const sender = new EventSender({
    baseUrl: instance.address,
    batchEvents: 2,
    maxWaiting: 3,
    onRefused: (events) => refused.push(...events),
  });
  sender.send({ userId: 'r', eventType: 'ok' });
  sender.send({ eventType: 'nobody' });
  sender.send({ userId: 'r', eventType: 'ok' });
  assert.throws(() => sender.send({ userId: 'r', eventType: 'ok' }), /3 events wait/);
  assert.equal(await sender.close(), 0);
  assert.deepEqual(
    refused.map(({ event, code }) => [event.eventType, code]),
    [['nobody', 'missing_member']],
  );
  assert.equal((await client.readUser('r')).eventCount, 2);
  assert.throws(() => sender.send({ userId: 'r', eventType: 'ok' }), /closed/);
});

test('large events go in several requests', async () => {
  const sender = new EventSender({ baseUrl: instance.address, batchEvents: 10_000 });
  for (let number = 0; number < 40; number += 1)
    sender.send({ userId: 'large', eventType: 'e', properties: { text: 'x'.repeat(250 * 1024) } });
  assert.equal(await sender.close(60_000), 0);
  assert.equal((await client.readUser('large')).eventCount, 40);
});

test('a batch that is too large for what stands in between goes in halves, and repeats keep their key', async () => {
  const requests = [];
  const sender = new EventSender({
    baseUrl: 'http://nowhere',
    backoffMilliseconds: 1,
    fetch: async (_, { headers, body }) => {
      const events = JSON.parse(body);
      requests.push([headers['Idempotency-Key'], events.length, body]);
      if (events.length > 2) return new Response('{}', { status: 413 });
      if (requests.length === 3) throw new TypeError('the connection is gone');
      return Response.json({ accepted: events.length, rejected: [] }, { status: 202 });
    },
  });
  for (let number = 0; number < 5; number += 1) sender.send({ userId: 'u', eventType: `e${number}` });
  assert.equal(await sender.close(), 0);
  assert.deepEqual(
    requests.map(([, count]) => count),
    [5, 3, 2, 2, 3, 2, 1],
  );
  assert.deepEqual(requests[2], requests[3], 'what failed came again as it was');
  const keys = new Set(requests.map(([key]) => key));
  assert.equal(keys.size, 6);
  const taken = requests.slice(3).filter(([, count]) => count <= 2);
  const names = taken.flatMap(([, , body]) => JSON.parse(body).map((event) => event.eventType));
  assert.deepEqual(names, ['e0', 'e1', 'e2', 'e3', 'e4']);
});
