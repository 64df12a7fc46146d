/** The program of the log host, where this package is not part of a bundle. */
import { runMultilogHost } from './multilog-host.ts';

runMultilogHost();
