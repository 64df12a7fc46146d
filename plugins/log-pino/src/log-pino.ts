/** The kernel's messages, and every start and end of a service, as pino's JSON lines or in its readable form. */
import { pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import * as v from 'valibot';
import { reasonText } from '@daemontap/formats';
import { definePlugin } from '@daemontap/kernel';
import type { PluginFactory, ReportLevel } from '@daemontap/kernel';
import { openLineOutput } from '@daemontap/posix';
import type { LineOutput } from '@daemontap/posix';

const STDERR = 2;

const optionsSchema = v.strictObject({
  format: v.optional(v.picklist(['json', 'pretty']), 'json'),
  level: v.optional(v.picklist(['error', 'warn', 'info', 'debug']), 'info'),
  colours: v.optional(v.boolean(), false),
});

/** How messages are shown. */
export interface LogPinoOptions {
  /** pino's own lines, or lines for people; default `json`. */
  readonly format?: 'json' | 'pretty';
  /** The least level that is shown; default `info`. */
  readonly level?: 'error' | 'warn' | 'info' | 'debug';
  /** Colours in the readable form; default: none. */
  readonly colours?: boolean;
}

const LEVELS = { fatal: 'error', warning: 'warn', info: 'info', debug: 'debug' } as const satisfies Record<
  ReportLevel,
  string
>;

/** Shows everything that happens, on standard error. A reader that is stuck or gone costs lines, and no time. */
export const logPino: PluginFactory<LogPinoOptions> = definePlugin({
  name: 'log-pino',
  apiVersion: 1,
  schema: optionsSchema,
  apply({ hooks }, { format, level, colours }) {
    let output: LineOutput | undefined;
    const pretty = prettyFactory({
      colorize: colours,
      hideObject: true,
      ignore: 'pid,hostname,name',
      messageFormat: sentence,
    });
    const show = (line: string): string => (format === 'json' ? line : pretty(line));
    const logger = pino(
      { name: 'daemontap', level },
      {
        write(line: string) {
          output ??= openLineOutput(STDERR, {
            dropped: (count) => show(`${JSON.stringify({ level: 40, time: Date.now(), msg: lost(count) })}\n`),
          });
          output.write(show(line));
        },
      },
    );
    hooks.reported.tap('log-pino', ({ level: reported, program, plugin, message, cause, service }) => {
      const reason = cause === undefined ? undefined : reasonText(cause);
      logger[LEVELS[reported]]({ program, plugin, service, reason }, message);
    });
    hooks.serviceStarted.tap('log-pino', ({ label }, servicePid) => {
      logger.info({ service: label, servicePid }, 'started');
    });
    hooks.serviceEnded.tap('log-pino', ({ label }, servicePid, end) => {
      logger.info({ service: label, servicePid, ...end }, 'ended');
    });
    hooks.serviceReleased.tap('log-pino', ({ label }) => {
      logger.info({ service: label }, 'no longer supervised');
    });
  },
});

/** `greeter/log: ended (signal 9)`: what the fields say, for people. */
function sentence(line: Readonly<Record<string, unknown>>): string {
  const { program, plugin, service, msg, reason, servicePid, exitCode, signal } = line;
  const isEnd = exitCode !== undefined || signal !== undefined;
  const details = Object.entries({ pid: isEnd ? undefined : servicePid, 'exit code': exitCode, signal })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` (${name} ${String(value)})`);
  // Most messages of a program name what they are about.
  const isNamed = program !== undefined && typeof service === 'string' && names(String(msg), service);
  const about = typeof service === 'string' && !isNamed ? `${service}: ` : '';
  const by = typeof plugin === 'string' ? `${plugin}: ` : '';
  return `${about}${by}${String(msg)}${details.join('')}${typeof reason === 'string' ? `: ${reason}` : ''}`;
}

/** True when a message has the service's name in it, as a word or the beginning of a path. */
function names(message: string, service: string): boolean {
  return ` ${message} `.includes(` ${service} `) || ` ${message}`.includes(` ${service}/`);
}

function lost(count: number): string {
  return `${count} messages were lost`;
}
