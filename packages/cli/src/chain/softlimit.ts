/** softlimit: runs a program under lower soft limits. They are set when the chain ends: see chain.ts. */
import { errorText } from '@daemontap/formats';
import { readLimit } from '@daemontap/posix';
import type { Resource } from '@daemontap/posix';
import { parseArguments } from '../getopt.ts';
import { isHelped } from '../help.ts';
import { program } from '../program.ts';
import type { Call, Step } from './chain.ts';

const { fatal, usage } = program('softlimit');
const USAGE =
  'softlimit: usage: softlimit [-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] [-l lockbytes] [-m membytes]' +
  ' [-o openfiles] [-p processes] [-r residentbytes] [-s stackbytes] [-t cpusecs] child';

const TEXT = `Runs child under soft limits: of memory (-m, or one by one -d -s -l -a), of descriptors (-o), processes (-p), the
size of files (-f), core dumps (-c), resident memory (-r), processor time (-t). "=" is the hard limit.`;

/** What each option limits. */
const limitOptions: Readonly<Record<string, readonly Resource[]>> = {
  a: ['as'],
  c: ['core'],
  d: ['data'],
  f: ['fsize'],
  l: ['memlock'],
  m: ['data', 'stack', 'memlock', 'as'],
  o: ['nofile'],
  p: ['nproc'],
  r: ['rss'],
  s: ['stack'],
  t: ['cpu'],
};

/** `softlimit [options] child`. A limit above the hard one is the hard one; `=` is the hard one, too. */
export function softlimit({ called, words, given }: Call): Step {
  if (isHelped(words, { usage: USAGE, text: TEXT })) return { exitCode: 0 };
  const parsed = parseArguments(words, { flags: '', valued: Object.keys(limitOptions).join('') });
  if ('complaint' in parsed) {
    usage(called, ': ', parsed.complaint, ' -- ', parsed.letter);
    return { exitCode: usage(USAGE) };
  }
  const limits = new Map(given.limits);
  try {
    for (const { letter, value = Buffer.alloc(0) } of parsed.options) {
      const number = parseNumber(value.toString('latin1'));
      if (number === undefined) return { exitCode: usage(USAGE) };
      for (const resource of limitOptions[letter] ?? []) {
        const { hard } = readLimit(resource);
        limits.set(resource, number === 'hard' || number > hard ? hard : number);
      }
    }
  } catch (error) {
    return { exitCode: fatal('getrlimit failed: ', errorText(error)) };
  }
  if (parsed.operands.length === 0) return { exitCode: usage(USAGE) };
  return { child: parsed.operands, given: { ...given, limits } };
}

/** The arguments that ask a softlimit for these limits. */
export function limitArguments(limits: ReadonlyMap<Resource, bigint>): readonly Buffer[] {
  return [...limits].map(([resource, soft]) => {
    const [letter] = Object.entries(limitOptions).find(([, limited]) => limited.join() === resource) ?? [];
    return Buffer.from(`-${letter}${soft}`);
  });
}

/** Decimal digits, modulo 2^64; none are 0, as in daemontools. */
function parseNumber(text: string): bigint | 'hard' | undefined {
  if (text === '=') return 'hard';
  return /^\d*$/.test(text) ? BigInt.asUintN(64, BigInt(text)) : undefined;
}
