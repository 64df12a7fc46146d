import { simulateService, spawnPluginContract } from '@daemontap/testkit';
import { expect, test } from 'vitest';
import { factoryName } from './index.ts';

spawnPluginContract({
  name: 'PLUGIN_NAME',
  create: () => factoryName({ variables: { PORT: '79', PATH: '/bin' } }),
  promises: ({ environment }) => ({
    environment: [
      ...environment.filter((entry) => !entry.toString().startsWith('PATH=')),
      Buffer.from('PORT=79'),
      Buffer.from('PATH=/bin'),
    ],
  }),
  wrongOptions: {
    'a name with =': () => factoryName({ variables: { 'A=B': 'c' } }),
    'a value that is no text': () => factoryName({ variables: { PORT: 79 as never } }),
  },
});

test('a service is started with the variables', async () => {
  const simulation = simulateService({ plugins: [factoryName({ variables: { PORT: '79' } })] });
  await simulation.settle();
  const started = simulation.processes.started.map(({ request }) => request.environment.map(String));
  expect(started).toEqual([['PORT=79']]);
});
