/** The API on a real socket, asked about services of a simulated kernel. */
import { join } from 'node:path';
import { controlTransportContract } from '@daemontap/testkit';
import { ask } from './client.test-support.ts';
import { controlSocket } from './index.ts';
import type { ControlSocketOptions } from './index.ts';
import { commandWords } from './schema.ts';

const wordOf = (letter: string): string =>
  Object.entries(commandWords).find(([, each]) => each === letter)?.[0] ?? letter;

controlTransportContract({
  name: 'control-socket',
  create: () => controlSocket(),
  async send({ directory, stateDir }, bytes) {
    const socketPath = join(stateDir, 'http');
    const target = `/v1/services/${encodeURIComponent(directory.label)}/commands`;
    for (const letter of bytes.toString('latin1')) {
      const { status } = await ask({ socketPath, target, body: { command: wordOf(letter) } });
      if (status !== 202) throw new Error(`status ${status}`);
    }
    if (bytes.length === 0) await ask({ socketPath, target: '/v1' });
  },
  wrongOptions: {
    'a relative path': () => controlSocket({ path: 'http' }),
    'a mode that is a number': () => controlSocket({ mode: 0o660 as unknown as string }),
    'a mode that is none': () => controlSocket({ mode: '999' }),
    'a group without a name': () => controlSocket({ group: '' }),
    'a user that is none': () => controlSocket({ users: ['a:b'] }),
    'an unknown option': () => controlSocket({ port: 80 } as ControlSocketOptions),
  },
});
