/** The log host of the plugin log-stdout. */
import { runStdoutHost } from '@daemontap/log-stdout';

runStdoutHost();
