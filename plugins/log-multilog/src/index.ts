export { BLOCK_MAX, LINE_MAX, Multilog } from './multilog.ts';
export { SetUpError } from './need.ts';
export type { Need, Steps, Text } from './need.ts';
export { openProcessorFiles } from './processor.ts';
export type { ProcessorFiles, ProcessorPlan } from './processor.ts';
export { parseScript } from './script.ts';
export type { Action, DirectoryPlan, Script } from './script.ts';
