// A platform of a test's own: the program on a fresh data directory, and calls of its API.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? 'target');
const program = process.env.AUDIENCE_PROGRAM ?? path.join(target, 'debug', 'audience');

/** Addresses on which nobody listens. */
async function freeAddresses(count) {
  const listen = () =>
    new Promise((resolve) => {
      const server = createServer();
      server.listen(0, '127.0.0.1', () => resolve(server));
    });
  const servers = await Promise.all(Array.from({ length: count }, listen));
  const addresses = servers.map((server) => `127.0.0.1:${server.address().port}`);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return addresses;
}

/** Starts the program, with more flags; `stop` ends it and removes its data. */
export async function startPlatform(flags = []) {
  const [listen, ingest] = await freeAddresses(2);
  const data = await mkdtemp(path.join(tmpdir(), 'audience-browser-'));
  const listeners = ['--listen', listen, '--listen-ingest', ingest];
  const child = spawn(program, ['serve', '--data', data, ...listeners, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const said = [];
  const address = new Promise((resolve, reject) => {
    const hear = (line) => {
      said.push(line);
      const found = /ready on (https?:\/\/[0-9.:]+)/.exec(line);
      if (found) resolve(found[1]);
    };
    createInterface({ input: child.stdout }).on('line', hear);
    createInterface({ input: child.stderr }).on('line', hear);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the program ended with ${code}:\n${said.join('\n')}`)));
  });
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    await rm(data, { recursive: true, force: true });
  };
  try {
    return { address: await address, stop };
  } catch (error) {
    await rm(data, { recursive: true, force: true });
    throw error;
  }
}

/** Calls the API with JSON; an answer that is no success fails the test. */
export async function call(address, method, url, body) {
  const response = await fetch(address + url, {
    method,
    headers: { 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

const DAY = 86_400_000;

/** Customers c00 to c19: the one of number n bought n times for 100, the last time n days ago; the even ones have a plan. */
export async function fill(address, customers = 20) {
  const events = [];
  const now = Date.now();
  for (let number = 0; number < customers; number += 1) {
    const userId = `c${String(number).padStart(2, '0')}`;
    const traits = {
      country: number % 3 === 0 ? 'NO' : 'SE',
      ...(number % 2 === 0 ? { plan: number % 4 === 0 ? 'pro' : 'free' } : {}),
    };
    events.push({ userId, eventType: 'identify', timestamp: now - 60 * DAY, traits });
    for (let nth = 0; nth < number; nth += 1) {
      events.push({
        userId,
        eventType: 'purchase',
        timestamp: now - (number + nth) * DAY - 1000,
        properties: { amount: 100, category: nth % 2 === 0 ? 'shoes' : 'books' },
      });
    }
  }
  await call(address, 'POST', '/api/events', events);
}
