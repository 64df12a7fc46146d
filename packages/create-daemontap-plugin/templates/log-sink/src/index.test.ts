import { closeSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LogSink } from '@daemontap/kernel';
import { applyAlone, logSinkContract, serviceDirectory, simulateScan } from '@daemontap/testkit';
import { expect, test } from 'vitest';
import { factoryName } from './index.ts';

logSinkContract({
  name: 'PLUGIN_NAME',
  create: ({ dir }) => factoryName({ dir }),
  received: ({ directory, place }) => readFileSync(join(place.dir, `${directory.label}.log`)),
  wrongOptions: {
    'a relative path': () => factoryName({ dir: 'logs' }),
    'a size of nothing': () => factoryName({ dir: '/', maxBytes: 0 }),
  },
});

test('a service whose file cannot be opened is not started', async () => {
  const simulation = simulateScan({ plugins: [factoryName({ dir: '/nowhere' })], services: { finger: {} } });
  await simulation.settle();
  expect(simulation.story).toEqual(['failed finger']);
});

test('a start renames the file of an earlier one that has become too long', async () => {
  const { path, scanPath, ...service } = serviceDirectory();
  const directory = { label: 'finger', role: 'service', hasLog: false, identity: '1-2', path } as const;
  const plugin = applyAlone(factoryName({ dir: scanPath, maxBytes: 5 }));
  const [sink] = plugin.call('openLogSink', directory) as [LogSink]; // it has one tap, which gives a sink or throws
  for (const text of ['short', 'longer than that', 'new']) {
    closeSync(sink.openOutput());
    writeFileSync(join(scanPath, 'finger.log'), text, { flag: 'a' });
  }
  expect(readFileSync(join(scanPath, 'finger.log.old'), 'utf8')).toBe('shortlonger than that');
  expect(readFileSync(join(scanPath, 'finger.log'), 'utf8')).toBe('new');
  await service[Symbol.asyncDispose]();
});
