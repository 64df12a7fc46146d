/** `npm run bench -- [NAME ...] [--write]`: runs the benchmarks of these names, or all, one after the other. */
const all = ['starts', 'multilog', 'thousand-services', 'hooks', 'logging'];
const names = process.argv.slice(2).filter((word) => !word.startsWith('-'));
for (const name of names) if (!all.includes(name)) throw new Error(`there is no ${name}, but ${all.join(', ')}`);
for (const name of names.length > 0 ? names : all) await import(`./${name}.ts`);
