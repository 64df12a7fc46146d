import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeStatus, parseStatus } from './status-record.ts';
import type { Status } from './status-record.ts';

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
