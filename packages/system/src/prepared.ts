/**
 * Starts that take more than posix_spawn(3) can do: a program in the new process does it, and becomes what was to be
 * started. It is begun without anything of the service's environment, which may be anybody's to write.
 */
import { accessSync, constants } from 'node:fs';
import { KernelError } from '@daemontap/kernel';
import type { SpawnPlan } from '@daemontap/kernel';
import { inheritedVariables, preparationWords, readLimit } from '@daemontap/posix';

/** The program that prepares a process, by absolute paths. */
export interface PreparingProgram {
  /** What is executed: a Node. */
  readonly file: string;
  /** Its options. */
  readonly options: readonly string[];
  /** What it runs; behind it come the words of `preparationWords`, and what `readInherited` reads is set. */
  readonly script: string;
  /** Its environment, all of it but for what `readInherited` reads. */
  readonly environment: readonly string[];
}

/** Node opens more while it starts than later: launch/limits of the cli has the same number. */
const LEAST_DESCRIPTORS = 24n;

/**
 * The plan as the system can carry it out: itself, or one that begins with the program.
 * @throws `START_FAILED` when there is no such program, or it could not run
 */
export function prepared<P extends SpawnPlan>(plan: P, program: PreparingProgram | undefined): P {
  const { account, softLimits = {} } = plan;
  if (account === undefined && Object.keys(softLimits).length === 0) return plan;
  if (program === undefined) throw refusal(new Error('there is no program for it'));
  const { file, options, script } = program;
  mustBeThere(file, constants.X_OK);
  mustBeThere(script, constants.R_OK);
  const descriptorLimit = plan.descriptorLimit ?? readLimit('nofile');
  const { hard } = descriptorLimit;
  if (hard < LEAST_DESCRIPTORS) {
    throw refusal(new Error(`Node needs ${LEAST_DESCRIPTORS} descriptors, and would have ${hard}`));
  }
  const words = [file, ...options, script].map((word) => Buffer.from(word));
  const descriptors = plan.descriptors.map(([target]) => target);
  return {
    ...plan,
    file: Buffer.from(file),
    argv: [...words, ...preparationWords({ ...plan, account, softLimits })],
    environment: [
      ...program.environment.map((each) => Buffer.from(each)),
      ...inheritedVariables({ ...plan, descriptorLimit, descriptors }),
    ],
    descriptorLimit: { soft: hard, hard },
  };
}

function mustBeThere(path: string, mode: number): void {
  try {
    accessSync(path, mode);
  } catch (cause) {
    throw new KernelError('START_FAILED', `unable to run ${path}`, { cause });
  }
}

function refusal(cause: Error): KernelError {
  return new KernelError('START_FAILED', 'unable to change account or limits', { cause });
}
