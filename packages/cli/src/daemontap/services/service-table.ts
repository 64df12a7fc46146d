/** Services as a table for people. */
import { styleText } from 'node:util';
import { table } from '../table.ts';
import type { ServiceState, ServiceView } from './service-view.ts';
import { durationText } from './time-text.ts';

type Style = Parameters<typeof styleText>[0];

const states: Readonly<Record<ServiceState, { readonly text: string; readonly style?: Style }>> = {
  up: { text: 'up', style: 'green' },
  down: { text: 'down' },
  starting: { text: 'starting', style: 'yellow' },
  stopping: { text: 'stopping', style: 'yellow' },
  paused: { text: 'paused', style: 'yellow' },
  unsupervised: { text: 'not supervised', style: 'red' },
  unknown: { text: 'unknown', style: 'red' },
};

/** The table, a line for each service. */
export function serviceTable(
  views: readonly ServiceView[],
  { nowNs, colours }: { readonly nowNs: bigint; readonly colours: boolean },
): string {
  // Not by what the terminal of Node's own stdout takes: asking for it would change a descriptor that others share.
  const paint = (style: Style | undefined, text: string): string =>
    style !== undefined && colours ? styleText(style, text, { validateStream: false }) : text;
  const rows = views.map((view) => {
    const { service, state, pid, sinceNs } = view;
    return [
      service.shown,
      paint(states[state].style, states[state].text),
      pid === undefined ? '' : String(pid),
      sinceNs === undefined ? '' : durationText(nowNs - sinceNs),
      notesOn(view).join(', '),
    ];
  });
  const heading = ['service', 'state', 'pid', 'for', ''].map((text) => (text === '' ? '' : paint('bold', text)));
  return table([heading, ...rows]);
}

/** What is not as one would think, as svstat tells it. */
function notesOn({ service, state, pid, want, leaving, normally, reason }: ServiceView): readonly string[] {
  const isUp = pid !== undefined || state === 'starting';
  return [
    ...(reason === undefined ? [] : [reason]),
    ...(want === undefined || normally === undefined || isUp === (normally === 'up') ? [] : [`normally ${normally}`]),
    ...(want === 'once' || (state === 'paused' && want === 'down') ? [`want ${want}`] : []),
    ...(leaving === true ? ['leaving'] : []),
    ...(service.role === 'helper' ? ['helper'] : []),
  ];
}
