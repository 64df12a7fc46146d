import { statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { applyAlone, controlTransportContract, serviceDirectory } from '@daemontap/testkit';
import { expect, test } from 'vitest';
import { factoryName } from './index.ts';

/** Sends bytes as a client does, and returns what is answered. */
function ask(path: string, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const client = connect(path);
    client.on('data', (part: Buffer) => (answer += part.toString()));
    client.on('error', reject);
    client.on('close', () => resolve(answer));
    client.end(bytes);
  });
}

controlTransportContract({
  name: 'PLUGIN_NAME',
  create: ({ dir }) => factoryName({ dir }),
  send: async ({ directory, place }, bytes) => {
    await ask(join(place.dir, directory.label), bytes);
  },
  wrongOptions: {
    'a relative path': () => factoryName({ dir: 'sockets' }),
    'no time at all': () => factoryName({ idleTimeoutMs: 0 }),
  },
});

test('each letter is answered, and only its owner may send any', async () => {
  const service = serviceDirectory();
  const directory = {
    label: 'finger',
    role: 'service',
    hasLog: false,
    identity: '1-2',
    path: service.path,
  } as const;
  const opened: { close(): void }[] = [];
  const commands: string[] = [];
  applyAlone(factoryName(), { stateDir: service.scanPath }).call('openControl', directory, {
    command: (letter) => void commands.push(letter),
    opened: (transport) => void opened.push(transport),
  });
  const path = join(service.scanPath, 'finger');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await ask(path, 'd?')).toBe('ok d\nunknown command\n');
  expect(commands).toEqual(['d']);
  for (const each of opened) each.close();
  await service[Symbol.asyncDispose]();
});
