/** That whatever a package exports says what it is, what it throws, and has its types tested. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { publicName, publishedPackages } from './public-api.ts';
import type { PublicMember, PublicName } from './public-api.ts';
import { parseSource } from './source.ts';

const rootDir = join(import.meta.dirname, '..');
const packages = publishedPackages();
const publicNames = new Map(packages.flatMap(({ names }) => names.map((each) => [each.name, each])));

/** Words of the system's manual, which mean there and here the same: a sentence could only repeat them. */
const systemWords = ['pid', 'parentPid', 'ancestorPids', 'sessionId', 'uid', 'gid', 'argv'];

/** Functions whose `throw` is never reached. */
const neverThrows = ['exitAtOnce'];

describe.each(packages)('$directory', ({ directory, names }) => {
  test('exports names, and each has a doc comment whose first sentence stands alone', () => {
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter(({ doc }) => !standsAlone(doc)).map(placeOf)).toEqual([]);
  });

  test('says of every member what it is, where name and type do not', () => {
    const silent = names.flatMap((each) =>
      each.members.filter((member) => !standsAlone(member.doc) && !saysItAll(each, member)).map(memberPlaceOf(each)),
    );
    expect(silent).toEqual([]);
  });

  test('says `@throws` of what throws', () => {
    const functions = names.filter(({ name, throws }) => throws && !neverThrows.includes(name));
    const methods = names.flatMap((each) =>
      each.members
        .filter((member) => member.throws && !isOfInterface(each, member))
        .map((member) => [each, member] as const),
    );
    expect([
      ...functions.filter(({ doc }) => !saysThrows(doc)).map(placeOf),
      ...methods.filter(([, { doc }]) => !saysThrows(doc)).map(([each, member]) => memberPlaceOf(each)(member)),
    ]).toEqual([]);
  });

  test('has a test of its types, which `tsc -b` compiles', () => {
    const typeTests = readdirSync(join(rootDir, directory, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.test.ts'))
      .filter((path) => /\bexpectTypeOf\b/.test(readFileSync(join(rootDir, directory, 'src', path), 'utf8')));
    expect(typeTests).not.toEqual([]);
    const leavesOut = readFileSync(join(rootDir, directory, 'tsconfig.json'), 'utf8').includes('"exclude"');
    const testsInclude = readFileSync(join(rootDir, 'test/tsconfig.json'), 'utf8');
    expect(!leavesOut || testsInclude.includes(`"../${directory}/src/**/*.test.ts"`)).toBe(true);
  });
});

describe('what is looked for', () => {
  const named = (text: string, name = 'a') => publicName(parseSource('a.ts', text), name);

  test.each([
    [true, 'Does it.'],
    [true, 'Does it. And more'],
    [true, 'Codes: `ENOENT` …'],
    [false, undefined],
    [false, ''],
    [false, 'does it'],
    [false, '@throws Error. Always.'],
    [false, '- A list.'],
  ])('stands alone: %s, "%s"', (expected, doc) => {
    expect(standsAlone(doc)).toBe(expected);
  });

  test.each([
    ['has a throw', true, 'export function a(): void { throw new Error(); }'],
    ['calls a function that does', true, 'export const a = () => b();\nfunction b(): never { throw new Error(); }'],
    ['catches it', false, 'export function a(): void { try { throw new Error(); } catch {} }'],
    ['throws it again', true, 'export function a(): void { try { b(); } catch (error) { throw error; } }'],
    ['gives a function that throws', false, 'export const a = () => () => { throw new Error(); };'],
    ['calls itself', false, 'export function a(): void { a(); }'],
  ])('a function that %s: throws is %s', (_title, throws, text) => {
    expect(named(text).throws).toBe(throws);
  });

  test('the members of interfaces, object types and classes, without private ones', () => {
    const doc = '/** It. */';
    expect(
      named(
        `export class a implements B { ${doc} x: number = 1; #y = 2; private z = 3; constructor() {} m() { this.#n(); } #n() { throw 1; } }`,
      ),
    ).toMatchObject({
      implemented: ['B'],
      members: [
        { name: 'x', doc: 'It.', type: 'number', throws: false },
        { name: 'm', doc: undefined, type: undefined, throws: true },
      ],
    });
    const members = [
      { name: 'x', doc: 'It.', type: 'readonly B[]' },
      { name: 'm', doc: undefined, type: undefined },
    ];
    expect(named(`export interface a { ${doc} readonly x: readonly B[]; m(): void }`)).toMatchObject({ members });
    expect(named(`export type a = C & { ${doc} readonly x: readonly B[]; m(): void }`)).toMatchObject({ members });
  });

  test.each([
    [true, 'clock', 'SimulatedClock'],
    [true, 'reports', 'readonly Report[]'],
    [true, 'descriptorLimit', 'Limit'],
    [true, 'want', "ServiceStatus['want']"],
    [true, 'pid', 'number'],
    [false, 'hook', 'keyof KernelHooks'],
    [false, 'clock', 'string'],
    [false, 'watch', 'Wristwatch'],
    [false, 'path', undefined],
  ])('name and type say it all: %s, %s of type %s', (expected, name, type) => {
    expect(saysItAll(named('export interface a {}'), { name, type, doc: undefined, throws: false })).toBe(expected);
  });
});

/** The text before the tags begins with a sentence. */
function standsAlone(doc: string | undefined): boolean {
  const [body = ''] = (doc ?? '').split(/(?:^|\s)@\w/);
  return /^[\p{L}`\d"'/][^]*?[.…](?=\s|$)/u.test(body);
}

function saysThrows(doc: string | undefined): boolean {
  return doc?.includes('@throws ') ?? false;
}

/** The member is a public type called so or that of a public member called so, or somebody else describes it. */
function saysItAll(owner: PublicName, member: PublicMember): boolean {
  const { name, type = '' } = member;
  if (systemWords.includes(name) || isOfInterface(owner, member)) return true;
  const [, ofType = '', sameMember] = /^(\w+)\['(\w+)'\]$/.exec(type) ?? [];
  if (sameMember === name) return publicNames.has(ofType);
  const [, one, many] = /^(?:(\w+)|readonly (\w+)\[\])$/.exec(type) ?? [];
  if (!publicNames.has(one ?? many ?? '')) return false;
  return lastWord(name) === lastWord(one ?? many ?? '') || lastWord(name) === `${lastWord(many ?? '')}s`;
}

/** `SimulatedClock`: clock. */
function lastWord(name: string): string {
  return (/[A-Z]?[a-z0-9]*$/.exec(name)?.[0] ?? '').toLowerCase();
}

/** An interface that the class implements describes it. */
function isOfInterface({ implemented }: PublicName, { name }: PublicMember): boolean {
  return implemented.some((each) => publicNames.get(each)?.members.some((member) => member.name === name));
}

function placeOf({ file, name }: PublicName): string {
  return `${file}: ${name}`;
}

function memberPlaceOf(owner: PublicName): (member: PublicMember) => string {
  return ({ name }) => `${placeOf(owner)}.${name}`;
}
