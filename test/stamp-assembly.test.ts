import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { assembled, target } from './stamp-assembly.ts';

test('what stamps lines is what `npm run assemble` makes', async () => {
  expect(readFileSync(target, 'utf8')).toBe(await assembled());
});
