/** What `definePlugin` makes of a definition, and what its types allow. */
import { applyAlone } from '@daemontap/testkit';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { KernelError } from '../errors.ts';
import type { ServiceDirectory } from '../hooks.ts';
import type { Plugin } from './contract.ts';
import { definePlugin } from './define.ts';
import type { PluginFactory, SchemaIssue, StandardSchema } from './define.ts';
import { defineConfig, definePreset } from './stack.ts';

interface Greeting {
  readonly greeting?: string;
  readonly times?: number;
}

/** A Standard Schema as a library makes it, by hand. */
const schema: StandardSchema<Greeting, Required<Greeting>> = {
  '~standard': {
    version: 1,
    vendor: 'by hand',
    validate(value) {
      const { greeting = 'hello', times = 1 } = value as Greeting;
      const issues: SchemaIssue[] = [];
      if (typeof greeting !== 'string') issues.push({ message: 'must be text', path: ['greeting'] });
      if (times < 1) issues.push({ message: 'must be 1 or more', path: [{ key: 'times' }] });
      return issues.length > 0 ? { issues } : { value: { greeting, times } };
    },
  },
};
const finger: ServiceDirectory = { label: 'finger', role: 'service', hasLog: false, identity: '1-2', path: '/held/3' };

const greeter = definePlugin({
  name: 'greeter',
  apiVersion: 1,
  schema,
  requires: ['control-fifo'],
  apply({ hooks, log, optionsFor }, { greeting, times }) {
    expectTypeOf(times).toEqualTypeOf<number>();
    hooks.serviceStarted.tap('greeter', (service) => {
      log.info(`${greeting} ${times}, and here ${optionsFor(service).greeting}`);
    });
  },
});

describe('a factory', () => {
  test('makes a plugin that has what its definition says', () => {
    const { apply, ...rest } = greeter({ times: 2 });
    expect(rest).toEqual({ name: 'greeter', apiVersion: 1, meetsHelpers: false, requires: ['control-fifo'] });
    expect(apply).toBeTypeOf('function');
    expect(greeter.definition).toEqual({ name: 'greeter', apiVersion: 1, schema, requires: ['control-fifo'] });
  });

  test('gives the plugin the checked options, with the defaults', () => {
    const alone = applyAlone(greeter());
    alone.call('serviceStarted', finger, 7);
    expect(alone.said.map(({ message }) => message)).toEqual(['hello 1, and here hello']);
  });

  test('refuses wrong options with all that is wrong, and where', () => {
    const wrong = { greeting: 7, times: 0 } as unknown as Greeting;
    expect(() => greeter(wrong)).toThrow(
      new KernelError(
        'PLUGIN_OPTIONS',
        'unable to use the options of plugin greeter: greeting: must be text; times: must be 1 or more',
      ),
    );
  });

  test('without a schema takes no options', () => {
    const plain = definePlugin({ name: 'plain', apiVersion: 1, apply() {} }) as unknown as (options: object) => Plugin;
    expect(plain({}).name).toBe('plain');
    expect(() => plain({ loud: true })).toThrow(
      'unable to use the options of plugin plain: it takes none, and was given loud',
    );
  });

  test('refuses a schema that does not answer at once', () => {
    const late: StandardSchema<object, object> = {
      '~standard': { version: 1, vendor: 'late', validate: async (value) => ({ value: value as object }) },
    };
    const plugin = definePlugin({ name: 'late', apiVersion: 1, schema: late, apply() {} });
    expect(() => plugin({})).toThrow('unable to use the options of plugin late: its schema does not answer at once');
  });
});

describe('optionsFor', () => {
  const toldOf = (own: Readonly<Record<string, unknown>>) => {
    const alone = applyAlone(greeter({ greeting: 'hi', times: 3 }), { serviceOptions: () => own });
    alone.call('serviceStarted', finger, 7);
    return alone.said.map(({ message }) => message);
  };

  test("is the plugin's options where the configuration says nothing about the service, and else those over them", () => {
    expect(toldOf({})).toEqual(['hi 3, and here hi']);
    expect(toldOf({ greeting: 'you' })).toEqual(['hi 3, and here you']);
  });

  test('refuses wrong ones with the name of the service', () => {
    expect(() => toldOf({ times: -1 })).toThrow(
      'unable to use the options of plugin greeter for finger: times: must be 1 or more',
    );
  });
});

test('a KernelError of another copy of this package is one, and nothing else is', () => {
  const foreign = Object.assign(new Error('unable to'), { [Symbol.for('@daemontap/kernel:KernelError')]: true });
  expect(foreign).toBeInstanceOf(KernelError);
  for (const value of [new Error('x'), undefined, null, 'KernelError', { code: 'LOCK_HELD' }]) {
    expect(value instanceof KernelError).toBe(false);
  }
});

test('the types of factories say which options there are, and whether one must give them', () => {
  expectTypeOf(greeter).toEqualTypeOf<PluginFactory<Greeting>>();
  expectTypeOf(greeter).parameter(0).toEqualTypeOf<Greeting | undefined>();
  expectTypeOf(definePlugin({ name: 'x', apiVersion: 1, apply() {} })).parameters.toEqualTypeOf<[]>();
  const needy = definePlugin({
    name: 'x',
    apiVersion: 1,
    schema: schema as StandardSchema<object, object> as StandardSchema<{ account: string }, { account: string }>,
    apply(_, options) {
      expectTypeOf(options).toEqualTypeOf<{ account: string }>();
    },
  });
  expectTypeOf(needy).parameters.toEqualTypeOf<[options: { account: string }]>();
  const wrong = (): unknown => [
    // @ts-expect-error: there is no such option
    greeter({ volume: 11 }),
    // @ts-expect-error: it must be text
    greeter({ greeting: 7 }),
    // @ts-expect-error: the account must be given
    needy(),
    // @ts-expect-error: a definition has a version
    definePlugin({ name: 'x', apply() {} }),
    definePlugin({
      name: 'x',
      apiVersion: 1,
      // @ts-expect-error: without a schema there are no options
      apply: (_kernel, { volume }) => volume,
    }),
    // @ts-expect-error: there is no such key
    defineConfig({ plugin: [] }),
    // @ts-expect-error: a plugin is named, not handed over
    defineConfig({ plugins: [greeter()] }),
    // @ts-expect-error: it is one of three
    defineConfig({ log: 'loud' }),
    // @ts-expect-error: a preset has a name
    definePreset({ plugins: [] }),
  ];
  expect(wrong).toBeTypeOf('function');
});

test('a preset and a configuration are what was given', () => {
  const plugins = ['control-fifo', ['greeter', { greeting: 'hi' }]] as const;
  expect(definePreset({ name: 'mine', plugins })).toEqual({ name: 'mine', plugins });
  expect(defineConfig({ preset: [], plugins, stopTimeout: 5 })).toEqual({ preset: [], plugins, stopTimeout: 5 });
});
