// An instance of a test's own, which can be killed and started again at the same address.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? 'target');
const program = process.env.AUDIENCE_PROGRAM ?? path.join(target, 'debug', 'audience');

function freePort() {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export class Instance {
  static async start() {
    const instance = new Instance();
    instance.data = await mkdtemp(path.join(tmpdir(), 'audience-client-'));
    instance.ports = [await freePort(), await freePort()];
    instance.address = `http://127.0.0.1:${instance.ports[0]}`;
    await instance.run();
    return instance;
  }

  async run() {
    const [listen, ingest] = this.ports.map((port) => `127.0.0.1:${port}`);
    const given = ['serve', '--data', this.data, '--listen', listen, '--listen-ingest', ingest];
    this.child = spawn(program, given, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.ended = new Promise((resolve) => this.child.once('exit', resolve));
    await new Promise((resolve, reject) => {
      createInterface({ input: this.child.stdout }).on('line', (line) => line.includes('ready on') && resolve());
      this.child.once('exit', (code) => reject(new Error(`${program} ended with ${code}`)));
      this.child.once('error', reject);
    });
  }

  async end(signal) {
    this.child.kill(signal);
    await this.ended;
  }

  async stop() {
    await this.end('SIGTERM');
    await rm(this.data, { recursive: true, force: true });
  }
}
