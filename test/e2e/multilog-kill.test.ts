/** What kill -9 of multilog costs: nothing on a slow stream, one block that was read under a flood. */
import { closeSync, constants, existsSync, openSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeFifo } from './support/fifo.ts';
import { fedMultilog, finishedFiles, listing, logged, multilogs, textOf } from './support/multilog.ts';
import { start } from './support/start.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

const LINE_BYTES = 50;
/** What a multilog holds that is read and not written: ours a block; C's a block, a buffer and a line, and it says 2.5 KB. */
const heldBytes = { daemontap: 65_536, daemontools: 1024 + 512 + 1000 } as const;

/** Writes numbered lines to a FIFO as fast as they are taken, until it finds a file `enough`; then says how many. */
const FLOOD = `open my $out, ">", "flood" or die; my $n = 0;
  for (; !-e "enough"; $n += 1000) {
    my $text = join "", map { sprintf "%049d\\n", $_ } $n .. $n + 999;
    for (my $at = 0; $at < length $text;) { $at += syswrite($out, $text, length($text) - $at, $at) or die }
  }
  print $n`;

/** Where a piece of the flood lies in it, which begins or ends anywhere in a line. */
function placeOf(piece: string): number {
  const newline = piece.indexOf('\n');
  return Number(piece.slice(newline + 1, newline + LINE_BYTES)) * LINE_BYTES - newline - 1;
}

/** The flood between two places in it. */
function floodBetween(from: number, to: number): string {
  const first = Math.floor(from / LINE_BYTES);
  const lines: string[] = [];
  for (let n = first; n * LINE_BYTES < to; n++) lines.push(`${String(n).padStart(LINE_BYTES - 1, '0')}\n`);
  return lines.join('').slice(from - first * LINE_BYTES, to - first * LINE_BYTES);
}

// One after the other: what is killed late has read much.
describe.each(multilogs)('a killed multilog ($name)', (implementation) => {
  test('under a flood loses at most what it held, and what was written is never touched again', async () => {
    await using here = temporaryDirectory();
    makeFifo(here.join('flood'));
    const both = openSync(here.join('flood'), constants.O_RDWR);
    const reader = openSync(here.join('flood'), constants.O_RDONLY);
    let before = '';
    const losses: number[] = [];
    try {
      const argv = [implementation.path('multilog'), 'n1000', 's16777215', './d'];
      await using writer = start(['/usr/bin/perl', '-e', FLOOD], { cwd: here.path });
      for (const isLast of [false, false, false, true]) {
        await using program = start(argv, { cwd: here.path, stdin: reader });
        if (isLast) {
          // Now that the writer has it open: the input ends with the writer.
          closeSync(both);
          writeFileSync(here.join('enough'), '');
          let isOver = false;
          void program.exit.then(() => (isOver = true));
          await until(() => isOver, { describe: 'it has read all', state: program.stderr });
        } else {
          const wanted = before.length + 300_000;
          await until(() => sizeOf(here.join('d')) > wanted, {
            describe: 'it writes',
            everyMs: 1,
            state: () => [listing(here.join('d')), program.stderr(), writer.stderr()],
          });
          process.kill(program.pid, 'SIGKILL');
          await program.exit;
        }
        const after = logged(here.join('d'));
        expect(after.startsWith(before)).toBe(true);
        const piece = after.slice(before.length);
        expect(piece).not.toBe('');
        const place = placeOf(piece);
        expect(floodBetween(place, place + piece.length) === piece).toBe(true);
        losses.push(place - (before === '' ? 0 : endOf(before)));
        before = after;
      }
      expect(endOf(before)).toBe(Number(writer.stdout()) * LINE_BYTES);
      for (const loss of losses) {
        expect(loss).toBeGreaterThanOrEqual(0);
        expect(loss).toBeLessThanOrEqual(heldBytes[implementation.name]);
      }
      expect(losses[0]).toBe(0);
      expect(finishedFiles(here.join('d')).filter(({ name }) => name.endsWith('.u')).length).toBe(3);
    } finally {
      closeSync(reader);
    }
  });

  test('on a slow stream loses nothing, and the file count stays within n', async () => {
    const words = ['n3', './d'];
    await using first = fedMultilog(implementation, words);
    await first.holds('d/current', '');
    let text = '';
    const write = async (pipe: typeof first.pipe, line: string): Promise<void> => {
      pipe.write(line);
      text += line;
      await until(() => logged(first.here.join('d')) === text, { describe: `${line} is there`, everyMs: 2 });
    };
    await write(first.pipe, 'one\n');
    await write(first.pipe, 'two\n');
    await first.signal('SIGKILL');
    await first.ended();
    for (let round = 0; round < 2; round++) {
      await using next = start([implementation.path('multilog'), ...words], {
        cwd: first.here.path,
        stdin: first.pipe.reader,
      });
      await write(first.pipe, `three ${round}\n`);
      await write(first.pipe, `four ${round}\n`);
      process.kill(next.pid, 'SIGKILL');
      await next.exit;
    }
    expect(finishedFiles(first.here.join('d')).map((file) => file.text)).toEqual(['one\ntwo\n', 'three 0\nfour 0\n']);
    await using last = start([implementation.path('multilog'), ...words], {
      cwd: first.here.path,
      stdin: first.pipe.reader,
    });
    await until(() => textOf(first.here.join('d/current')) === '', { describe: 'it has started', state: last.stderr });
    expect(finishedFiles(first.here.join('d')).map((file) => file.text)).toEqual([
      'three 0\nfour 0\n',
      'three 1\nfour 1\n',
    ]);
  });
});

/** Where the flood goes on behind what was logged. */
function endOf(text: string): number {
  const newline = text.lastIndexOf('\n', text.length - 1);
  const lineBegin = text.lastIndexOf('\n', newline - 1) + 1;
  return Number(text.slice(lineBegin, newline)) * LINE_BYTES + LINE_BYTES + (text.length - newline - 1);
}

/** How much is logged in a directory, which may be about to be made. */
function sizeOf(directory: string): number {
  if (!existsSync(directory)) return 0;
  // By inode: for a moment a file that is finished has both names.
  const sizes = new Map<number, number>();
  for (const name of readdirSync(directory).filter((each) => each.startsWith('@') || each === 'current')) {
    const stats = statSync(join(directory, name), { throwIfNoEntry: false });
    if (stats !== undefined) sizes.set(stats.ino, stats.size);
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}
