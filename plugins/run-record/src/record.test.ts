/** The lines of the record file: what is written is read again, and nothing else is believed. */
import type { ServiceStatus } from '@daemontap/kernel';
import fc from 'fast-check';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { encodeLine, encodeRecord, parseHeader, parseRecord, RECORD_SIZE, withEnd } from './record.ts';
import type { RecordFileHeader, RunRecord } from './record.ts';

const record: RunRecord = {
  identity: '1-2',
  role: 'service',
  directory: '1-2',
  pid: 7,
  startTicks: 99,
  want: 'up',
  paused: false,
  startDue: false,
  leaving: false,
  sinceNs: '1700000000000000500',
  ends: ['e0 1700000000', 's9 1700000001', '? 1700000002'],
  label: 'finger',
};
const header: RecordFileHeader = {
  version: 2,
  kernelPid: 7,
  sessionId: 3,
  ancestorPids: [3, 1],
  bootId: 'a-b',
  pidNamespace: 'pid:[4026531836]',
  initStartTicks: 12,
};
const lineOf = (value: unknown): Buffer => encodeLine(JSON.stringify(value));

test('a line has its size, ends with a newline and never crosses a page', () => {
  const line = encodeRecord(record);
  expect([line.length, line.indexOf(0x0a), 4096 % RECORD_SIZE]).toEqual([RECORD_SIZE, RECORD_SIZE - 1, 0]);
});

test('a record is read as it was written, and so is a header', () => {
  expect(parseRecord(encodeRecord(record))).toEqual(record);
  expect(parseHeader(lineOf(header))).toEqual(header);
});

test('whatever a record says, it fits, and only the label is cut, at a whole character', () => {
  const pid = fc.integer({ min: 2, max: 4_194_304 });
  const count = fc.nat(Number.MAX_SAFE_INTEGER);
  const full = fc.record({
    identity: fc.tuple(fc.nat(), fc.bigInt(0n, 2n ** 64n - 1n)).map(([dev, ino]) => `${dev}-${ino}`),
    pid,
    startTicks: count,
    fromTicks: count,
    atMs: count,
    label: fc.string({ unit: 'binary', maxLength: 400 }),
  });
  fc.assert(
    fc.property(full, ({ fromTicks, atMs, label, identity, ...rest }) => {
      const ends = Array.from({ length: 4 }, () => 'e255 99999999999');
      const intent = { type: 'start', fromTicks, atMs } as const;
      const written = { ...record, ...rest, identity, directory: identity, intent, ends, label };
      const line = encodeRecord(written);
      expect(line.length).toBe(RECORD_SIZE);
      const read = parseRecord(line);
      expect({ ...read, label: '' }).toEqual({ ...written, label: '' });
      expect(label.toWellFormed().startsWith(read?.label.replace(/\ufffd$/, '') ?? '?')).toBe(true);
    }),
    { numRuns: 40 },
  );
  expect(parseRecord(encodeRecord({ ...record, label: 'é'.repeat(600) }))?.label).toMatch(/^é{30,}$/);
});

describe('what no kernel writes is no record', () => {
  const lies: Readonly<Record<string, unknown>> = {
    'a pid that is none': { ...record, pid: 0 },
    'the first process': { ...record, pid: 1 },
    'a negative pid': { ...record, pid: -7 },
    'a pid as text': { ...record, pid: '7' },
    'a broken pid': { ...record, pid: 7.5 },
    'a pid without its start time': { ...record, startTicks: undefined },
    'a start time without a pid': { ...record, pid: undefined },
    'a start time before the boot': { ...record, startTicks: -1 },
    'another want': { ...record, want: 'sideways' },
    'another role': { ...record, role: 'kernel' },
    'a path for an identity': { ...record, identity: '../1-2' },
    'no identity': { ...record, identity: undefined },
    'a path for a directory': { ...record, directory: '/service' },
    'a word for a boolean': { ...record, paused: 'yes' },
    'no leaving': { ...record, leaving: undefined },
    'another intent': { ...record, intent: { type: 'reboot' } },
    'half an intent': { ...record, intent: { type: 'start', fromTicks: 1 } },
    'no object for an intent': { ...record, intent: 'start' },
    'a time before 1970': { ...record, sinceNs: '-5' },
    'a time as a number': { ...record, sinceNs: 5 },
    'a time beyond 64 bits': { ...record, sinceNs: '9'.repeat(30) },
    'ends that are none': { ...record, ends: 'e0' },
    'an end that is none': { ...record, ends: [0] },
    'no label': { ...record, label: undefined },
    'a list': [record],
    null: null,
    'a number': 5,
  };
  test.each(Object.entries(lies))('%s', (_what, value) => {
    expect(parseRecord(lineOf(value))).toBeUndefined();
  });

  test('a line that is blank, short, torn or without its newline', () => {
    const line = encodeRecord(record);
    const torn = Buffer.concat([line.subarray(0, 100), Buffer.alloc(RECORD_SIZE - 100)]);
    const open = Buffer.from(line).fill(0x20, RECORD_SIZE - 1);
    for (const each of [encodeLine(''), line.subarray(0, 511), Buffer.alloc(0), torn, open]) {
      expect(parseRecord(each)).toBeUndefined();
    }
  });
});

const anything = fc.oneof(
  fc.uint8Array({ minLength: RECORD_SIZE, maxLength: RECORD_SIZE }).map((bytes) => Buffer.from(bytes)),
  fc.json().map((text) => encodeLine(text)),
  // Records with one member that is something else.
  fc
    .tuple(fc.constantFrom(...Object.keys({ ...record, intent: 0 })), fc.jsonValue())
    .map(([key, value]) => lineOf({ ...record, [key]: value })),
);

test('whatever lies there, it is read without a throw, and what is taken for a record can be one', () => {
  fc.assert(
    fc.property(anything, (line) => {
      parseHeader(line);
      const read = parseRecord(line);
      if (read === undefined) return;
      expect(read.identity).toMatch(/^\d+-\d+$/);
      expect(['up', 'down', 'once']).toContain(read.want);
      expect(BigInt(read.sinceNs)).toBeGreaterThanOrEqual(0n);
      if (read.pid !== undefined) expect(read.pid).toBeGreaterThan(1);
      expect(read.pid === undefined).toBe(read.startTicks === undefined);
      expect(typeof read.label).toBe('string');
    }),
    { numRuns: 500 },
  );
});

describe('a header', () => {
  test('of another version says its version and no more', () => {
    expect(parseHeader(lineOf({ ...header, version: 3 }))).toEqual({ version: 3 });
    expect(parseHeader(lineOf({}))).toEqual({ version: undefined });
  });

  test.each([
    ['no pid', { kernelPid: undefined }],
    ['ancestors that are no pids', { ancestorPids: ['1'] }],
    ['no list of ancestors', { ancestorPids: 1 }],
    ['no boot', { bootId: 5 }],
    ['no namespace', { pidNamespace: undefined }],
    ['no start of the first process', { initStartTicks: -1 }],
  ])('with %s is none', (_what, change) => {
    expect(parseHeader(lineOf({ ...header, ...change }))).toBeUndefined();
  });
});

test('the last four ends are kept, the newest first', () => {
  let ends = withEnd([], { exitCode: 3 });
  ends = withEnd(ends, { signal: 15 });
  ends = withEnd(ends, undefined);
  expect(ends).toEqual([
    expect.stringMatching(/^\? \d{10}$/),
    expect.stringMatching(/^s15 \d{10}$/),
    expect.stringMatching(/^e3 \d{10}$/),
  ]);
  for (let count = 0; count < 5; count++) ends = withEnd(ends, { exitCode: 0 });
  expect(ends.map((end) => end.split(' ')[0])).toEqual(['e0', 'e0', 'e0', 'e0']);
});

test('a record has the words of the hooks', () => {
  expectTypeOf<RunRecord['want']>().toEqualTypeOf<ServiceStatus['want']>();
});
