/** What a kernel and a host say to each other, and whose turn it is. */
import type { PluginKernel } from '@daemontap/kernel';
import { describe, expect, expectTypeOf, test, vi } from 'vitest';
import { openLogHosts, runLogHost } from './index.ts';
import type { HostedSink, LogHostProgram, LogHostsOptions } from './index.ts';
import { Turns } from './host/turns.ts';
import type { Turning } from './host/turns.ts';
import { decode, encode } from './protocol.ts';
import type { Order } from './protocol.ts';

describe('messages', () => {
  test('arrive as they were sent', () => {
    const order: Order = { type: 'open', id: '1-2', label: 'a\nb', options: { script: ['t'] }, isEnding: false };
    expect(decode<Order>(encode(order))).toEqual(order);
  });
  test('of another kind, or none at all, are nothing', () => {
    for (const bytes of ['', '{', 'null', '7', '{"type":"dance"}', '[]'])
      expect(decode(Buffer.from(bytes))).toBeUndefined();
  });
});

describe('turns', () => {
  const soon = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, 20));

  test('go round: who has much to do does not keep others waiting', async () => {
    const turns = new Turns();
    const done: string[] = [];
    const stream = (name: string, blocks: number): Turning => {
      const each: Turning = {
        step() {
          done.push(name);
          if (--blocks > 0) turns.add(each);
          return undefined;
        },
      };
      return each;
    };
    for (const each of [stream('a', 3), stream('b', 1), stream('c', 2)]) turns.add(each);
    await soon();
    expect(done.join('')).toBe('abcaca');
  });

  test('one that hangs does not keep others waiting for long, however many there are', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate'] });
    try {
      const turns = new Turns();
      const forever: Turning = { step: () => new Promise(() => {}) };
      for (let count = 0; count < 40; count++) turns.add({ ...forever });
      const step = vi.fn<Turning['step']>(() => undefined);
      turns.add({ step });
      await vi.advanceTimersByTimeAsync(700);
      expect(step).toHaveBeenCalledOnce();
    } finally {
      vi.useRealTimers();
    }
  });
});

test('the types say what a plugin gives, and what a host`s program does', () => {
  expectTypeOf(openLogHosts).parameters.toEqualTypeOf<[PluginKernel, LogHostsOptions]>();
  expectTypeOf(runLogHost).parameter(0).toEqualTypeOf<LogHostProgram>();
  expectTypeOf<HostedSink['take']>().returns.toEqualTypeOf<Promise<void> | undefined>();
});
