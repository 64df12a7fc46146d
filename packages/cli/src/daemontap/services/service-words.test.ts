import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { namedService, servicesIn } from './service-words.ts';

let here = '';
beforeEach(() => {
  here = mkdtempSync(join(tmpdir(), 'daemontap-words-'));
  for (const path of ['service/a/log/supervise', 'service/log', 'elsewhere', 'service/new/supervise', 'service/.old'])
    mkdirSync(join(here, path), { recursive: true });
  mkdirSync(Buffer.concat([Buffer.from(`${here}/service/`), Buffer.of(0x62, 0xff)]));
  writeFileSync(Buffer.concat([Buffer.from(`${here}/service/`), Buffer.of(0x62, 0xff), Buffer.from('/run')]), '');
  for (const path of ['service/a/run', 'service/log/run', 'service/.old/run', 'elsewhere/run', 'service/file'])
    writeFileSync(join(here, path), '');
  mkdirSync(join(here, 'service/no-run-yet'));
  symlinkSync('../elsewhere', join(here, 'service/linked'));
});
afterEach(() => rmSync(here, { recursive: true }));

describe('a word', () => {
  const scanDir = Buffer.from('/sv');
  const named = (word: string): readonly unknown[] => {
    const service = namedService(Buffer.from(word.replace('HERE', here)), scanDir);
    const { label, role } = service;
    return [label, role, ...[service.directory, service.mainDirectory, service.scanDir].map(String)].map((each) =>
      String(each).replace(here, 'HERE'),
    );
  };

  test.each([
    ['finger', ['finger', 'service', '/sv/finger', '/sv/finger', '/sv']],
    ['finger/', ['finger', 'service', '/sv/finger', '/sv/finger', '/sv']],
    ['finger/log', ['finger/log', 'log', '/sv/finger/log', '/sv/finger', '/sv']],
    ['log', ['log', 'service', '/sv/log', '/sv/log', '/sv']],
    ['log/log', ['log/log', 'log', '/sv/log/log', '/sv/log', '/sv']],
    ['.hidden', ['.hidden', 'service', '/sv/.hidden', '/sv/.hidden', '/sv']],
    ['./finger', ['finger', 'service', './finger', './finger', '.']],
    ['sub/finger', ['finger', 'service', 'sub/finger', 'sub/finger', 'sub']],
    ['/finger', ['finger', 'service', '/finger', '/finger', '/']],
    ['HERE/service/a', ['a', 'service', 'HERE/service/a', 'HERE/service/a', 'HERE/service']],
    ['HERE/service//a//', ['a', 'service', 'HERE/service/a', 'HERE/service/a', 'HERE/service/']],
    ['', ['', 'service', '', '/sv/', '/sv']],
    ['HERE/service/a/log', ['a/log', 'log', 'HERE/service/a/log', 'HERE/service/a', 'HERE/service']],
    ['HERE/service/log', ['log', 'service', 'HERE/service/log', 'HERE/service/log', 'HERE/service']],
    ['HERE/service/a/.', ['a', 'service', 'HERE/service/a', 'HERE/service/a', 'HERE/service']],
    ['HERE/service/a/log/..', ['a', 'service', 'HERE/service/a', 'HERE/service/a', 'HERE/service']],
    ['HERE/service/a/log/.', ['a/log', 'log', 'HERE/service/a/log/.', 'HERE/service/a', 'HERE/service']],
  ])('%s names a service', (word, service) => {
    expect(named(word)).toEqual(service);
  });

  test.each(['/', '.', '..', '/nonexist/..'])('%j is taken for what it is, whatever becomes of it', (word) => {
    expect(() => namedService(Buffer.from(word), scanDir)).not.toThrow();
  });

  test('is shown as it was given, its bytes that are no text by their numbers', () => {
    const word = Buffer.concat([Buffer.from('./'), Buffer.of(0x61, 0xff, 0x0a)]);
    const { label, shown, directory } = namedService(word, scanDir);
    expect([label, shown, directory]).toEqual(['a\\xff\\n', './a\\xff\\n', word]);
  });
});

describe('a scan directory', () => {
  test('holds the directories that are services, each before its log', () => {
    const labels = servicesIn(Buffer.from(join(here, 'service'))).map(({ label }) => label);
    expect(labels).toEqual(['a', 'a/log', 'b\\xff', 'linked', 'log', 'new']);
  });

  test('that is none is refused', () => {
    expect(() => servicesIn(Buffer.from(join(here, 'nonexist')))).toThrow(/^unable to chdir to \/.*\/nonexist$/);
  });
});
