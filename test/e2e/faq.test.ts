/** The pages of frequently asked questions, followed line by line: what they tell to type does what they say. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { chaptersOf, skeletonOf } from './support/faq-page.ts';
import type { Chapter } from './support/faq-page.ts';
import { follow, obstacle } from './support/faq.ts';
import { daemontap, supervisors } from './support/implementations.ts';

// Services are waited for most of the time, C's svscan for up to five seconds.
vi.setConfig({ maxConcurrency: 23 });

const read = (name: string): string => readFileSync(join(import.meta.dirname, '../../docs', name), 'utf8');
const page = read('faq.md');
const chapters = chaptersOf(page);

/** What some chapters need besides daemontools; each is in /usr/bin where Debian's package is installed. */
const absent = ['tcpserver', 'ps'].filter((program) => !existsSync(join('/usr/bin', program)));
const lacks = (chapter: Chapter): string | undefined =>
  absent.find((program) => new RegExp(`\\b${program} `).test(JSON.stringify(chapter)));

if (obstacle !== undefined) console.log(`skipped: the recipes of docs/faq.md; ${obstacle}`);
for (const chapter of chapters) {
  if (lacks(chapter) !== undefined) console.log(`skipped: "${chapter.title}" of docs/faq.md; no ${lacks(chapter)}`);
}

test('the Japanese page has the same headings, files, commands and transcripts, in the same order', () => {
  expect(skeletonOf(read('faq.ja.md'))).toEqual(skeletonOf(page));
});

test('the page has chapters, questions and commands where they are looked for', () => {
  const recipes = chapters.flatMap((each) => each.recipes);
  expect(recipes.length).toBeGreaterThan(20);
  expect(recipes.filter(({ isOursAlone }) => isOursAlone).length).toBe(2);
});

describe.runIf(obstacle === undefined).concurrent.each(supervisors)('docs/faq.md ($name)', (implementation) => {
  const followed = chapters
    .filter((each) => lacks(each) === undefined)
    .map(({ title, recipes }) => ({
      title,
      recipes: recipes.filter(({ isOursAlone }) => implementation === daemontap || !isOursAlone),
    }))
    .filter(({ recipes }) => recipes.some(({ blocks }) => blocks.length > 0));

  test.each(followed)('$title', async ({ recipes }) => {
    await follow(recipes, implementation);
  });
});
