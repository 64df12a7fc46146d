/** The program of the log host, where this package is not part of a bundle. */
import { runStdoutHost } from './stdout-host.ts';

runStdoutHost();
