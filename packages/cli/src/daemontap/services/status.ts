/** `daemontap status`: what services are, as a table or as JSON. */
import { isatty } from 'node:tty';
import { program as voiceOf, writeAll } from '../../program.ts';
import type { DirectoryOptions } from '../directory.ts';
import { findServices, nothingFound } from './find-services.ts';
import { serviceTable } from './service-table.ts';
import { plainView } from './service-view.ts';
import type { ServiceView } from './service-view.ts';

/** What to show. */
export interface StatusOptions extends DirectoryOptions {
  readonly words: readonly Buffer[];
  readonly json: boolean;
}

/** As LSB has them for the status of a service, but for the last, which is daemontools'. */
const exitCodes = { up: 0, down: 3, noService: 4, cannotTell: 111 } as const;
const STDOUT = 1;

const { fatal } = voiceOf('daemontap');

/**
 * Shows the services that are named, or all of them. Exit code 0: all are up, or, where none was named, as they are
 * wanted; 3: one is down; 4: there is no such service, or nobody supervises it; 111: it cannot be told.
 */
export async function status(options: StatusOptions): Promise<number> {
  const { words, json } = options;
  const { found, missing } = await findServices(words, options);
  const views = found.map(({ view }) => view);
  if (views.length === 0 && missing.length === 0) return fatal(nothingFound(options));
  const nowNs = BigInt(Date.now()) * 1_000_000n;
  const services = views.map((view) => plainView(view, nowNs));
  if (json) writeAll(STDOUT, `${JSON.stringify({ version: 1, services }, undefined, 2)}\n`);
  else if (views.length > 0) writeAll(STDOUT, serviceTable(views, { nowNs, colours: hasColours() }));
  for (const line of missing) fatal(line);
  const codes = views.map((view) => exitCodeOf(view, words.length > 0));
  return Math.max(missing.length > 0 ? exitCodes.noService : 0, ...codes);
}

function exitCodeOf({ state, pid, want }: ServiceView, isNamed: boolean): number {
  if (state === 'unknown') return exitCodes.cannotTell;
  if (state === 'unsupervised') return exitCodes.noService;
  if (pid !== undefined || (!isNamed && want !== 'up')) return exitCodes.up;
  return exitCodes.down;
}

function hasColours(): boolean {
  const { NO_COLOR, TERM } = process.env;
  return (NO_COLOR ?? '') === '' && TERM !== 'dumb' && isatty(STDOUT);
}
