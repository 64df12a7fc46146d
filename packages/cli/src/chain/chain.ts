/**
 * Chain loading: a program changes something about its process and becomes the next one. When the next is one of ours,
 * it goes on in this process, so that a chain starts one Node; limits that no Node could live under are set last.
 * Nothing here may touch process.stdin and its like, which would change files that the next program shares.
 */
import { basename } from 'node:path';
import { errorText } from '@daemontap/formats';
import { argumentBytes, exitAtOnce, readInherited, systemError } from '@daemontap/posix';
import type { Inherited, Resource } from '@daemontap/posix';
import { calledName, exitWith, program, programOf } from '../program.ts';
import { become } from './become.ts';
import { receiveSignals } from '../signals.ts';
import { ownProgram, whyItCannotLive } from './own-programs.ts';
import { candidates } from './search.ts';

/** What a program gives to the one behind it. */
export interface Given {
  readonly environment: readonly Buffer[];
  /** Soft limits that were asked for in this chain and are not set yet. */
  readonly limits: ReadonlyMap<Resource, bigint>;
  /** Descriptors that were opened in this chain: [the number it has in the next program, the one it has here]. */
  readonly opened: readonly (readonly [target: number, source: number])[];
  /** What the caller of the chain handed over. */
  readonly inherited: Inherited;
}

/** One call of a chain-loading program. */
export interface Call {
  /** The name it was called by. */
  readonly called: string;
  readonly words: readonly Buffer[];
  readonly given: Given;
}

/** What a program wants when it has done its work: another program in its place, or the end. */
export type Step = { readonly child: readonly Buffer[]; readonly given: Given } | { readonly exitCode: number };

/** A chain-loading program: does to its process what it is for, and tells what comes next. */
export type ChainProgram = (call: Call) => Step;

/** Runs the program that was called and those behind it, until the process is another program or ends. */
export function runChain(programs: Readonly<Record<string, ChainProgram>>): void {
  const first = programOf(programs);
  exitWith(first.name, () => follow(first, programs), exitAtOnce);
}

function follow(
  first: { readonly name: string; readonly main: ChainProgram },
  programs: Readonly<Record<string, ChainProgram>>,
): number {
  const inherited = readInherited();
  receiveSignals(inherited);
  let { name, main } = first;
  let call: Call = {
    called: calledName(name),
    words: argumentBytes(),
    given: { environment: inherited.environment, limits: new Map(), opened: [], inherited },
  };
  for (;;) {
    const step = main(call);
    if ('exitCode' in step) return step.exitCode;
    const { child, given } = step;
    const [file = Buffer.alloc(0), ...words] = child;
    const { fatal } = program(name);
    // By the environment that this program was given, not by the one that it gives.
    const files = candidates(file, call.given.environment);
    const own = ownProgram(files);
    const next = own === undefined ? undefined : programs[own];
    if (own !== undefined && next !== undefined) {
      [name, main] = [own, next];
      call = { called: basename(file.toString('latin1')), words, given };
      continue;
    }
    const reason = own === undefined ? undefined : whyItCannotLive(given.limits);
    if (reason !== undefined) return fatal('unable to run ', file, ': ', reason);
    const failure = become({ files, child, given });
    exitAtOnce(fatal('unable to run ', file, ': ', errorText(systemError(failure, 'execve'))));
  }
}

/**
 * The lowest numbers that are free in the program behind: what open(2) and its like would return if there were no Node.
 * Fewer than `count` when its limit does not allow for more.
 */
export function freeDescriptors({ inherited, opened, limits }: Given, count: number): readonly number[] {
  const taken = new Set([...inherited.descriptors, ...opened.map(([target]) => target)]);
  const limit = limits.get('nofile') ?? inherited.descriptorLimit.soft;
  const free: number[] = [];
  for (let fd = 0; fd < limit && free.length < count; fd++) if (!taken.has(fd)) free.push(fd);
  return free;
}
