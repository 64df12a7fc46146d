/**
 * What posix_spawn(3) cannot do for a new process: another account, soft limits. A program does it in the new process
 * and then becomes the one that was meant; here is how it is told, as words on its command line.
 */
import { RESOURCES } from './limits.ts';
import type { Resource } from './limits.ts';

/** Who a process is. */
export interface ProcessAccount {
  readonly uid: number;
  readonly gid: number;
  /** The groups that it is in besides `gid`. */
  readonly groups: readonly number[];
}

/** A program, and what is to be done before it is executed. */
export interface Preparation {
  /** `undefined`: as it is. */
  readonly account: ProcessAccount | undefined;
  /** Soft limits that are changed; one above the hard limit stands for that. */
  readonly softLimits: Readonly<Partial<Record<Resource, bigint>>>;
  /** Executed as it is: no search. */
  readonly file: Buffer;
  readonly argv: readonly Buffer[];
}

const AS_IT_IS = '-';

/** The words that tell of it: `33:33:44,45 core=0,cpu=60 ./run ./run`. */
export function preparationWords({ account, softLimits, file, argv }: Preparation): readonly Buffer[] {
  const limits = Object.entries(softLimits).map(([resource, soft]) => `${resource}=${soft}`);
  const words = [
    account === undefined ? AS_IT_IS : `${account.uid}:${account.gid}:${account.groups.join(',')}`,
    limits.length === 0 ? AS_IT_IS : limits.join(','),
  ];
  return [...words.map((word) => Buffer.from(word)), file, ...argv];
}

/**
 * Reads the words.
 * @throws Error when they are not such words: nothing may be executed then
 */
export function parsePreparation(words: readonly Buffer[]): Preparation {
  const [account, limits, file, ...argv] = words;
  if (account === undefined || limits === undefined || file === undefined || argv.length === 0) {
    throw new Error('unable to prepare a start: too few words');
  }
  return { account: parseAccount(account.toString()), softLimits: parseLimits(limits.toString()), file, argv };
}

function parseAccount(word: string): ProcessAccount | undefined {
  if (word === AS_IT_IS) return undefined;
  const [, uid, gid, groups = ''] = /^(\d+):(\d+):((?:\d+(?:,\d+)*)?)$/.exec(word) ?? [];
  if (uid === undefined || gid === undefined) throw new Error(`unable to prepare a start: no account: ${word}`);
  return { uid: Number(uid), gid: Number(gid), groups: groups === '' ? [] : groups.split(',').map(Number) };
}

function parseLimits(word: string): Preparation['softLimits'] {
  if (word === AS_IT_IS) return {};
  return Object.fromEntries(
    word.split(',').map((each) => {
      const [, resource = '', soft = ''] = /^([a-z]+)=(\d+)$/.exec(each) ?? [];
      if (!Object.hasOwn(RESOURCES, resource)) throw new Error(`unable to prepare a start: no limit: ${each}`);
      return [resource, BigInt(soft)];
    }),
  );
}
