// Loaded before the program on a Node that was not installed with daemontap. Must be readable to any Node.
'use strict';

if (parseInt(process.versions.node, 10) < 22) {
  var program = require('path').basename(process.argv[1], '.cjs');
  var text = ': fatal: unable to run on Node ' + process.version + ': version 22 or later is needed\n';
  require('fs').writeSync(2, program + text);
  process.exit(111);
}
