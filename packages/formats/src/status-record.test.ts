import fc from 'fast-check';
import { expect, expectTypeOf, test } from 'vitest';
import { encodeStatus, formatTai64n, parseStatus } from './index.ts';
import type { Command, commandLetters, Status } from './index.ts';

const anyStatus: fc.Arbitrary<Status> = fc
  .record({
    sinceNs: fc.bigInt({ min: 0n, max: 2n ** 62n }),
    pid: fc.option(fc.integer({ min: 1, max: 0xffffffff }), { nil: undefined }),
    paused: fc.boolean(),
    want: fc.constantFrom('up', 'down', 'once'),
  })
  .map((status) => ({ ...status, paused: status.paused && status.pid !== undefined }));

test('a status written and read again is the same status', () => {
  fc.assert(
    fc.property(anyStatus, (status) => {
      expect(parseStatus(encodeStatus(status))).toMatchObject(status);
    }),
  );
});

test('any 18 bytes can be read, whatever they are, and more do not matter', () => {
  const bytes = fc.uint8Array({ minLength: 18, maxLength: 40 });
  fc.assert(
    fc.property(bytes, (each) => {
      expect(parseStatus(each)).toEqual(parseStatus(each.subarray(0, 18)));
    }),
  );
});

test('fewer than 18 bytes are no status', () => {
  const bytes = fc.uint8Array({ maxLength: 17 });
  fc.assert(
    fc.property(bytes, (each) => {
      expect(parseStatus(each)).toBeUndefined();
    }),
  );
});

test('the bytes are those of daemontools', () => {
  const status = { sinceNs: 1_700_000_000_000_000_500n, pid: 0x01020304, paused: true, want: 'down' } as const;
  expect(encodeStatus(status).toString('hex')).toBe('400000006553f10a000001f40403020101' + '64');
});

test('paused is not written while nothing runs', () => {
  const bytes = encodeStatus({ sinceNs: 0n, pid: undefined, paused: true, want: 'once' });
  expect(bytes.toString('hex')).toBe('400000000000000a00000000000000000000');
});

test('a record left by hand is shown as it stands', () => {
  const bytes = Buffer.from('400000ff02ceb202db395c00ffffffff0764', 'hex');
  expect(parseStatus(bytes)).toMatchObject({
    sinceTaiSeconds: 0x400000ff02ceb202n,
    pid: 4294967295,
    paused: true,
    want: 'down',
  });
});

test('a wish that is neither up nor down is "once"', () => {
  expect(parseStatus(Buffer.concat([Buffer.alloc(17), Buffer.from('x')]))?.want).toBe('once');
});

test('the types of a status: no pid is `undefined`, and moments are nanoseconds as a bigint', () => {
  expectTypeOf(encodeStatus).toEqualTypeOf<(status: Status) => Buffer>();
  expectTypeOf<Status['pid']>().toEqualTypeOf<number | undefined>();
  expectTypeOf<Command>().toEqualTypeOf<(typeof commandLetters)[number]>();
  const wrong = (): unknown => [
    // @ts-expect-error: it is no number
    encodeStatus({ sinceNs: 1, pid: 7, paused: false, want: 'up' }),
    // @ts-expect-error: nobody can want this
    encodeStatus({ sinceNs: 1n, pid: 7, paused: false, want: 'restart' }),
    // @ts-expect-error: a moment is a bigint here, too
    formatTai64n(1),
  ];
  expect(wrong).toBeTypeOf('function');
});
