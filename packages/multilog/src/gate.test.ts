import { expect, test } from 'vitest';
import { Gate } from './gate.ts';

/** Calls that are let through, by name; each is over when the test says so. */
function observed(gate: Gate): {
  readonly begun: string[];
  enter(device: string, name: string): void;
  leave(name: string): void;
} {
  const begun: string[] = [];
  const leaving = new Map<string, () => void>();
  return {
    begun,
    enter(device, name) {
      gate.enter(device, (leave) => {
        begun.push(name);
        leaving.set(name, leave);
      });
    },
    leave: (name) => leaving.get(name)?.(),
  };
}

test('a device has as many calls under way as it may, and the others in their order', () => {
  const { begun, enter, leave } = observed(new Gate(2));
  for (const name of ['1', '2', '3', '4', '5']) enter('8:1', name);
  expect(begun).toEqual(['1', '2']);
  leave('2');
  expect(begun).toEqual(['1', '2', '3']);
  leave('1');
  leave('3');
  expect(begun).toEqual(['1', '2', '3', '4', '5']);
});

test('calls that never come back keep no other device waiting', () => {
  const { begun, enter, leave } = observed(new Gate(2));
  for (const device of ['dead', 'frozen', 'gone']) for (let n = 0; n < 10; n++) enter(device, device);
  expect(begun).toHaveLength(6);
  for (let n = 0; n < 10; n++) {
    enter('8:1', String(n));
    leave(String(n));
  }
  expect(begun.slice(6)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
});

test('a call may be over at once, and begin another one of its device', () => {
  const gate = new Gate(1);
  const order: number[] = [];
  gate.enter('8:1', (leave) => {
    gate.enter('8:1', (leaveToo) => {
      order.push(2);
      leaveToo();
    });
    order.push(1);
    leave();
  });
  gate.enter('8:1', () => order.push(3));
  expect(order).toEqual([1, 2, 3]);
});
