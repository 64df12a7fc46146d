// Loaded before the program on a Node that was not installed with daemontap. Must be readable to any Node.
'use strict';

var parts = process.versions.node.split('.');
if (+parts[0] < 22 || (+parts[0] === 22 && +parts[1] < 22)) {
  var text = ': fatal: unable to run on Node ' + process.version + ': version 22.22 or later is needed\n';
  require('fs').writeSync(2, process.env.DAEMONTAP_NAME + text);
  process.exit(111);
}
