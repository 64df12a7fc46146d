/** A kernel, asked through its control socket. What comes back is not trusted to be what was asked for. */
import * as v from 'valibot';
import { AskError, lost } from './ask-error.ts';
import { answerTo, eventsOf, refusalOf } from './socket-request.ts';
import type { Question } from './socket-request.ts';
import type { ServiceState, ServiceView } from './service-view.ts';

/** What a kernel is told by the commands that wait for services. */
export type KernelCommand = 'up' | 'down' | 'restart';

/** A kernel that has answered. */
export interface AskedKernel {
  /** What it supervised when it was asked, by key. */
  readonly services: ReadonlyMap<string, KernelService>;
  /** @throws AskError */
  command(name: string, command: KernelCommand): Promise<void>;
  /** Tells of every service once, then of what happens, until it is aborted. @throws AskError when that ends before */
  follow(happened: (event: KernelEvent) => void, signal: AbortSignal): Promise<void>;
}

/** A service as a kernel tells it; what JSON says as `null` is `undefined`. */
export interface KernelService extends Pick<
  ServiceView,
  'pid' | 'paused' | 'want' | 'sinceNs' | 'leaving' | 'startDue'
> {
  readonly name: string;
  readonly role: 'service' | 'log' | 'helper';
  readonly identity: string;
  readonly state: Exclude<ServiceState, 'unsupervised' | 'unknown'>;
}

/** Something that happened to services. */
export type KernelEvent =
  | { readonly type: 'are'; readonly services: readonly KernelService[] }
  /** A process has ended, or a start has failed. */
  | { readonly type: 'ended' | 'startFailed'; readonly key: string; readonly text: string }
  /** It is no longer supervised. */
  | { readonly type: 'released'; readonly key: string };

/** What a service is known by, whatever it is called. Only of helpers nothing else is known than how they are called. */
export function keyOf({
  identity,
  role,
  name = '',
}: Pick<KernelService, 'role'> & {
  readonly identity?: string | undefined;
  readonly name?: string;
}): string {
  return role === 'helper' ? `${role}/${name}` : `${role}/${identity}`;
}

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const nanoseconds = v.pipe(
  v.string(),
  v.regex(/^\d{1,30}$/),
  v.transform((text) => BigInt(text)),
);

const whose = { name: v.string(), role: v.picklist(['service', 'log', 'helper']), identity: v.string() };
const service: v.GenericSchema<unknown, KernelService> = v.object({
  ...whose,
  state: v.picklist(['up', 'down', 'starting', 'stopping', 'paused']),
  pid: orNothing(count),
  paused: v.boolean(),
  want: v.picklist(['up', 'down', 'once']),
  sinceNs: nanoseconds,
  leaving: v.boolean(),
  startDue: v.boolean(),
});
const version = v.literal(1);
const list = v.object({ version, services: v.array(service) });
const exit = v.object({ exitCode: orNothing(count), signal: orNothing(v.string()) });

/** The events that are of interest, by their names. Others may come with any version. */
const events: Readonly<Record<string, v.GenericSchema<unknown, KernelEvent>>> = {
  snapshot: v.pipe(
    list,
    v.transform(({ services }): KernelEvent => ({ type: 'are', services })),
  ),
  service: v.pipe(
    v.object({ version, service }),
    v.transform(({ service: each }): KernelEvent => ({ type: 'are', services: [each] })),
  ),
  ended: v.pipe(
    v.object({ version, ...whose, exit }),
    v.transform((each): KernelEvent => ({ type: 'ended', key: keyOf(each), text: `it ended ${endText(each.exit)}` })),
  ),
  startFailed: v.pipe(
    v.object({ version, ...whose, message: v.string() }),
    v.transform((each): KernelEvent => ({
      type: 'startFailed',
      key: keyOf(each),
      text: `unable to run it: ${each.message}`,
    })),
  ),
  released: v.pipe(
    v.object({ version, ...whose }),
    v.transform((each): KernelEvent => ({ type: 'released', key: keyOf(each) })),
  ),
};

/** Asks the kernel behind a socket what it supervises. @throws AskError */
export async function askKernel(socketPath: string): Promise<AskedKernel> {
  const { services } = await ask({ socketPath, path: '/v1/services' }, list);
  return {
    services: new Map(services.map((each) => [keyOf(each), each])),
    async command(name, command) {
      if (services.filter((each) => each.name === name).length > 1)
        throw new AskError('refused', `two services are shown as ${name}`);
      const path = `/v1/services/${encodeURIComponent(name)}/commands`;
      await ask({ socketPath, path, body: { command, wait: false } }, v.unknown());
    },
    follow(happened, signal) {
      const event = (kind: string, value: unknown): void => {
        const schema = Object.hasOwn(events, kind) ? events[kind] : undefined;
        if (schema !== undefined) happened(read(value, schema));
      };
      return eventsOf({ socketPath, path: '/v1/events' }, { signal, event });
    },
  };
}

async function ask<T>(question: Question, schema: v.GenericSchema<unknown, T>): Promise<T> {
  const answer = await answerTo(question);
  if (answer.status >= 300) throw refusalOf(answer);
  return read(answer.value, schema);
}

function read<T>(value: unknown, schema: v.GenericSchema<unknown, T>): T {
  const result = v.safeParse(schema, value);
  if (!result.success) throw lost('its answer is of another version of daemontap');
  return result.output;
}

function orNothing<T>(schema: v.GenericSchema<T>): v.GenericSchema<T | null | undefined, T | undefined> {
  return v.pipe(
    v.nullish(schema),
    v.transform((value) => value ?? undefined),
  );
}

function endText({ exitCode, signal }: v.InferOutput<typeof exit>): string {
  if (signal !== undefined) return `by ${signal}`;
  return exitCode === undefined ? 'in an unknown way' : `with exit code ${exitCode}`;
}
