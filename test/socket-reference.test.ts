/** That docs/control-socket.md and its schema are what the plugin's sources say. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { controlSocket } from '../plugins/control-socket/src/index.ts';
import { commandWords, errorStatuses, eventSchemas, waitedStates } from '../plugins/control-socket/src/schema.ts';
import { schemaDocument, socketPage } from './socket-reference.ts';

const read = (name: string): string => readFileSync(join(import.meta.dirname, '../docs', name), 'utf8');
const page = read('control-socket.md');

test('the page and the schema are what `npm run docs` makes', () => {
  expect(page).toBe(socketPage(page));
  // The formatter has its own mind about lists.
  expect(JSON.parse(read('control-socket.schema.json'))).toEqual(JSON.parse(schemaDocument()));
});

test('the schema is open for what later versions add to answers, and closed for requests', () => {
  const { $defs } = JSON.parse(schemaDocument()) as { $defs: Readonly<Record<string, object>> };
  const closed = Object.entries($defs).filter(([, each]) =>
    JSON.stringify(each).includes('"additionalProperties":false'),
  );
  expect(closed.map(([name]) => name)).toEqual(['CommandRequest']);
  expect(Object.keys($defs)).toEqual(expect.arrayContaining(Object.keys(eventSchemas).map((name) => `event ${name}`)));
});

test.each([
  ['## Errors', Object.entries(errorStatuses).map(([code, statuses]) => `\`${code}\` | ${statuses.join(', ')}`)],
  ['## Waiting', waitedStates.map((state) => `\`${state}\``)],
  ['## Where it is', Object.keys(entriesOf(controlSocket.definition.schema)).map((name) => `\`${name}\``)],
])('the table of "%s" names all there are, and nothing else', (heading, expected) => {
  const [, section = ''] = page.split(`\n${heading}`);
  const [table = ''] = section.split('\n## ');
  const columns = expected[0]?.split(' | ').length ?? 0;
  const rows = table.split('\n').filter((line) => line.startsWith('| `'));
  expect(
    rows.map((row) =>
      row
        .split('|')
        .slice(1, columns + 1)
        .map((each) => each.trim())
        .join(' | '),
    ),
  ).toEqual(expected);
});

test('the table of commands has every command with its letter', () => {
  const [, section = ''] = page.split('\n## Commands');
  const [table = ''] = section.split('\n## ');
  const rows = table.split('\n').filter((line) => line.startsWith('| `'));
  const letters = rows.flatMap((row) => {
    const [, words = '', options = ''] = row.split('|');
    const found = [...options.matchAll(/`-(\w)`/g)].map(([, letter]) => letter);
    return [...words.matchAll(/`(\w+)`/g)].map(([, word], index) => [
      word,
      word === 'restart' ? undefined : found[index],
    ]);
  });
  expect(Object.fromEntries(letters)).toEqual(commandWords);
});

function entriesOf(schema: unknown): object {
  return (schema as { readonly entries: object }).entries; // valibot's
}
