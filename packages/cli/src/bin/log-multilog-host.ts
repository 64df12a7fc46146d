/** The log host of the plugin log-multilog. */
import { runMultilogHost } from '@daemontap/log-multilog';

runMultilogHost();
