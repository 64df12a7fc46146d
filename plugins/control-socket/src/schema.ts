/**
 * The words of the API: what may be asked, and every answer. docs/control-socket.md and its JSON schema are made of this
 * file, and each answer in a test is compared with it. What is here may get more members within version 1, and none of
 * them ever changes or goes; every member is always there, and what does not apply is `null`.
 */
import * as v from 'valibot';

/** The version of the API: the first part of every path, and in every answer. */
export const API = 1;
/** The version of the API that an answer is of. */
export type ApiVersion = typeof API;

/** A time until which something is waited for has at most so many milliseconds. */
export const LONGEST_WAIT_MS = 600_000;
/** How long is waited where nothing is said. */
export const DEFAULT_WAIT_MS = 10_000;

/** The commands by their words, each with its letter on a control FIFO; `restart` is made of several. */
export const commandWords = {
  up: 'u',
  down: 'd',
  once: 'o',
  pause: 'p',
  continue: 'c',
  hangup: 'h',
  alarm: 'a',
  interrupt: 'i',
  terminate: 't',
  kill: 'k',
  exit: 'x',
  restart: undefined,
} as const;

/** What can be told to a service: as `svc`, or `restart`. */
export type CommandWord = keyof typeof commandWords;

/**
 * What can be waited for. `up`: it has a process; `running`: one that is not paused; `paused`: one that is; `down`: it
 * has none, and none is due; `exited`: the process that it had when this was asked has ended; `released`: it is no
 * longer supervised.
 */
export type WaitedState = (typeof waitedStates)[number];

/** All of {@link WaitedState}. */
export const waitedStates = ['up', 'running', 'paused', 'down', 'exited', 'released'] as const;

/**
 * What a service is. `starting`: without a process, and one is due; `stopping`: with a process that was told to end
 * by `down`.
 */
export type ServiceState = (typeof serviceStates)[number];

const serviceStates = ['up', 'down', 'starting', 'stopping', 'paused'] as const;

/** A service at a moment. */
export interface Service {
  /** As the kernel calls it: `finger`, and `finger/log` for its log service. */
  readonly name: string;
  /** `helper` is a process that a plugin has asked for. */
  readonly role: 'service' | 'log' | 'helper';
  /** Device and inode of its directory, of the main one for a log service: `DEV-INO`. */
  readonly identity: string;
  readonly state: ServiceState;
  /** `null`: no process. */
  readonly pid: number | null;
  /** True after `pause`, until `continue` or the next start. */
  readonly paused: boolean;
  /** What was asked for, whatever is. */
  readonly want: 'up' | 'down' | 'once';
  /** When the pid last changed, or supervision began: ISO 8601, UTC. */
  readonly since: string;
  /** The same in nanoseconds after 1970, as a string: no number of JSON holds it. */
  readonly sinceNs: string;
  /** How long ago that is, in milliseconds. */
  readonly forMs: number;
  /** True while a start is due or under way. */
  readonly startDue: boolean;
  /** True after `exit`: supervision ends with the process. */
  readonly leaving: boolean;
}

/** How a process of a service has ended. */
export interface Exit {
  /** Which it was. */
  readonly pid: number;
  /** When: ISO 8601, UTC. */
  readonly at: string;
  /** The same in nanoseconds after 1970, as a string. */
  readonly atNs: string;
  /** `null`: a signal has ended it, or how it ended cannot be known. */
  readonly exitCode: number | null;
  /** The name of the signal that has ended it: `SIGKILL`. */
  readonly signal: string | null;
  /** How long it ran, in milliseconds; `null`: it is not known when it began. */
  readonly ranForMs: number | null;
}

/** A service with what has become of its processes. */
export interface ServiceDetails extends Service {
  /** The newest first, at most ten; those of an earlier kernel, too. */
  readonly exits: readonly Exit[];
}

/** The answer about the kernel. */
export interface KernelAnswer {
  readonly version: ApiVersion;
  /** What answers. */
  readonly program: 'daemontap';
  /** The version of the package. */
  readonly release: string;
  /** The kernel's own. */
  readonly pid: number;
  /** Where the scan directory is now; `null`: it was removed, or a single service is supervised. */
  readonly scanDir: string | null;
  /** Since when the kernel runs: ISO 8601, UTC. */
  readonly since: string;
  /** The same in nanoseconds after 1970, as a string. */
  readonly sinceNs: string;
}

/** The answer about all services. */
export interface ServicesAnswer {
  readonly version: ApiVersion;
  /** By name. */
  readonly services: readonly Service[];
}

/** The answer about one service. */
export interface ServiceDetailsAnswer {
  readonly version: ApiVersion;
  /** The one that was asked about. */
  readonly service: ServiceDetails;
}

/** The answer to a command, and to a wait. */
export interface ServiceAnswer {
  readonly version: ApiVersion;
  readonly service: Service;
}

/** The answer about the plugins. */
export interface PluginsAnswer {
  readonly version: ApiVersion;
  /** The kernel's. */
  readonly pid: number;
  /** In the order in which they are applied, asked and told. */
  readonly plugins: readonly ShownPlugin[];
}

/** A plugin of the kernel. */
export interface ShownPlugin {
  /** As it calls itself. */
  readonly name: string;
  /** Of its package; `null`: not known. */
  readonly version: string | null;
  /** The file that it comes from, or `built in`; `null`: not known. */
  readonly module: string | null;
  /** What has named it: `plugins[1] in daemontap.config.yaml`, `preset daemontools`; `null`: not known. */
  readonly place: string | null;
  /** Its options; values whose names look like secrets are left out. */
  readonly options: Readonly<Record<string, unknown>>;
  /** One for each hook that it has tapped. */
  readonly hooks: readonly ShownHook[];
}

/** What has become of the calls of one hook of a plugin. Times are in microseconds. */
export interface ShownHook {
  /** The name of the hook. */
  readonly hook: string;
  /** How often it was called. */
  readonly calls: number;
  /** How many of the calls have failed. */
  readonly failures: number;
  /** The time in which the kernel could do nothing else. */
  readonly spentUs: number;
  /** The longest part of it. */
  readonly longestUs: number;
  /** The time until promised answers came. */
  readonly waitedUs: number;
}

/** Why there is no other answer. */
export type ErrorCode = keyof typeof errorStatuses;

/** The codes of errors, and the statuses of HTTP that go with them; the first one is the usual one. */
export const errorStatuses = {
  BAD_REQUEST: [400, 417],
  FORBIDDEN: [403],
  NO_SUCH_SERVICE: [404],
  NO_SUCH_PATH: [404],
  METHOD_NOT_ALLOWED: [405],
  TIMEOUT: [504, 408],
  TOO_LARGE: [413, 431],
  TOO_MANY: [503],
  UNAVAILABLE: [503],
  FAILED: [500],
} as const;

/** The answer that something went wrong. */
export interface ErrorAnswer {
  readonly version: ApiVersion;
  /** What went wrong. */
  readonly error: {
    /** For programs. */
    readonly code: ErrorCode;
    /** One line for people. */
    readonly message: string;
  };
  /** The service as it is; only where it was waited for in vain. */
  readonly service?: Service | undefined;
}

/** The body of a command. */
export interface CommandRequest {
  /** What to tell the service. */
  readonly command: CommandWord;
  /** Whether to answer once it is done; default: at once. */
  readonly wait?: boolean | undefined;
  /** How long that is waited for, in milliseconds; default 10,000, at most 600,000. */
  readonly timeoutMs?: number | undefined;
}

/** An event's data, by the event's name. */
export interface EventData {
  /** All services: the first event of a stream. */
  readonly snapshot: ServicesAnswer;
  /** A service, after a change. */
  readonly service: ServiceAnswer;
  /** A process was started. */
  readonly started: AboutService & { readonly pid: number };
  /** A process has ended. */
  readonly ended: AboutService & { readonly exit: Exit };
  /** A start has failed; `message` is the reason. */
  readonly startFailed: AboutService & { readonly message: string };
  /** A service is no longer supervised. */
  readonly released: AboutService;
  /** The kernel or a plugin has something to say, at least a warning. */
  readonly message: MessageData;
}

/** Whose event it is. */
export interface AboutService extends Pick<Service, 'name' | 'role' | 'identity'> {
  readonly version: ApiVersion;
  /** When it happened: ISO 8601, UTC. */
  readonly at: string;
  /** The same in nanoseconds after 1970, as a string. */
  readonly atNs: string;
}

/** A message. */
export interface MessageData extends Pick<AboutService, 'version' | 'at' | 'atNs'> {
  /** Of both, the supervisor goes on. */
  readonly level: 'fatal' | 'warning';
  /** Without its reason. */
  readonly message: string;
  /** Why; `null`: it has none. */
  readonly reason: string | null;
  /** The service that it is about; `null`: none. */
  readonly name: string | null;
  /** The plugin that says it; `null`: the kernel, or one of its own. */
  readonly plugin: string | null;
}

const version = v.literal(API);
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const time = v.pipe(v.string(), v.isoTimestamp());
const nanoseconds = v.pipe(v.string(), v.regex(/^\d{1,19}$/));
const microseconds = v.pipe(v.number(), v.minValue(0));
const identity = v.pipe(v.string(), v.regex(/^\d+-\d+$/));
const role = v.picklist(['service', 'log', 'helper']);

const serviceEntries = {
  name: v.string(),
  role,
  identity,
  state: v.picklist(serviceStates),
  pid: v.nullable(count),
  paused: v.boolean(),
  want: v.picklist(['up', 'down', 'once']),
  since: time,
  sinceNs: nanoseconds,
  forMs: count,
  startDue: v.boolean(),
  leaving: v.boolean(),
};
const service = v.strictObject(serviceEntries);
const exit = v.strictObject({
  pid: count,
  at: time,
  atNs: nanoseconds,
  exitCode: v.nullable(count),
  signal: v.nullable(v.string()),
  ranForMs: v.nullable(count),
});
const shownPlugin = v.strictObject({
  name: v.string(),
  version: v.nullable(v.string()),
  module: v.nullable(v.string()),
  place: v.nullable(v.string()),
  options: v.record(v.string(), v.unknown()),
  hooks: v.array(
    v.strictObject({
      hook: v.string(),
      calls: count,
      failures: count,
      spentUs: microseconds,
      longestUs: microseconds,
      waitedUs: microseconds,
    }),
  ),
});
const aboutService = { version, name: v.string(), role, identity, at: time, atNs: nanoseconds };
const servicesAnswer = v.strictObject({ version, services: v.array(service) });
const serviceAnswer = v.strictObject({ version, service });

/** The schema of a command's body. */
export const commandRequestSchema: v.GenericSchema<unknown, CommandRequest> = v.strictObject({
  command: v.picklist(Object.keys(commandWords) as readonly CommandWord[]),
  wait: v.optional(v.boolean()),
  timeoutMs: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(LONGEST_WAIT_MS))),
});

/** The schemas of all answers, by the names of their types. */
export const answerSchemas: {
  readonly KernelAnswer: v.GenericSchema<KernelAnswer>;
  readonly ServicesAnswer: v.GenericSchema<ServicesAnswer>;
  readonly ServiceDetailsAnswer: v.GenericSchema<ServiceDetailsAnswer>;
  readonly ServiceAnswer: v.GenericSchema<ServiceAnswer>;
  readonly PluginsAnswer: v.GenericSchema<PluginsAnswer>;
  readonly ErrorAnswer: v.GenericSchema<ErrorAnswer>;
} = {
  KernelAnswer: v.strictObject({
    version,
    program: v.literal('daemontap'),
    release: v.string(),
    pid: count,
    scanDir: v.nullable(v.string()),
    since: time,
    sinceNs: nanoseconds,
  }),
  ServicesAnswer: servicesAnswer,
  ServiceDetailsAnswer: v.strictObject({
    version,
    service: v.strictObject({ ...serviceEntries, exits: v.pipe(v.array(exit), v.maxLength(10)) }),
  }),
  ServiceAnswer: serviceAnswer,
  PluginsAnswer: v.strictObject({ version, pid: count, plugins: v.array(shownPlugin) }),
  ErrorAnswer: v.strictObject({
    version,
    error: v.strictObject({
      code: v.picklist(Object.keys(errorStatuses) as readonly ErrorCode[]),
      message: v.pipe(v.string(), v.regex(/^[^\n]+$/)),
    }),
    service: v.optional(service),
  }),
};

/** The schemas of the data of all events, by the names of the events. */
export const eventSchemas: { readonly [E in keyof EventData]: v.GenericSchema<EventData[E]> } = {
  snapshot: servicesAnswer,
  service: serviceAnswer,
  started: v.strictObject({ ...aboutService, pid: count }),
  ended: v.strictObject({ ...aboutService, exit }),
  startFailed: v.strictObject({ ...aboutService, message: v.string() }),
  released: v.strictObject(aboutService),
  message: v.strictObject({
    version,
    at: time,
    atNs: nanoseconds,
    level: v.picklist(['fatal', 'warning']),
    message: v.string(),
    reason: v.nullable(v.string()),
    name: v.nullable(v.string()),
    plugin: v.nullable(v.string()),
  }),
};
