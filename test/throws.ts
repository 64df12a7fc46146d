/** Which functions of a source throw by themselves: with a `throw` of their own, or of a function or private
 * method of the same file that they call. */
import { Visitor } from 'oxc-parser';
import type { Span } from 'oxc-parser';
import type { Source } from './source.ts';

interface Found extends Span {
  readonly name: string;
}

/** Tells of a declaration whether calling it may throw. A `throw` that is caught there does not count. */
export function throwsIn({ program }: Source): (declaration: Span) => boolean {
  const functions: Found[] = [];
  const calls: Found[] = [];
  const throws: Span[] = [];
  const caught: Span[] = [];
  const names = new Map<number, string>();
  const enter = ({ start, end, id }: Span & { readonly id?: { readonly name: string } | null }): void =>
    void functions.push({ name: id?.name ?? names.get(start) ?? '', start, end });
  new Visitor({
    VariableDeclarator: ({ id, init }) => {
      if (init !== null && id.type === 'Identifier') names.set(init.start, id.name);
    },
    MethodDefinition: ({ key, value }) => {
      if (key.type === 'PrivateIdentifier') names.set(value.start, `#${key.name}`);
    },
    FunctionDeclaration: enter,
    FunctionExpression: enter,
    ArrowFunctionExpression: ({ start, end }) => enter({ start, end }),
    ThrowStatement: ({ start, end }) => void throws.push({ start, end }),
    TryStatement: ({ block, handler }) => void (handler !== null && caught.push(block)),
    CallExpression: ({ callee, start, end }) => {
      if (callee.type === 'Identifier') calls.push({ name: callee.name, start, end });
      if (callee.type !== 'MemberExpression' || callee.object.type !== 'ThisExpression') return;
      if (callee.property.type === 'PrivateIdentifier') {
        calls.push({ name: `#${callee.property.name}`, start, end });
      }
    },
  }).visit(program);

  /** What happens in a function itself, not in one within it, nor where it is caught. */
  const own = <T extends Span>(all: readonly T[], whole: Span): readonly T[] =>
    all.filter((each) => {
      const around = [...functions, ...caught].filter((other) => contains(whole, other) && contains(other, each));
      return contains(whole, each) && around.every((other) => isSame(other, whole));
    });
  const throwing = (whole: Span, met: readonly Span[]): boolean =>
    own(throws, whole).length > 0 ||
    own(calls, whole).some(({ name }) => {
      const called = functions.find((each) => each.name === name);
      return called !== undefined && !met.some((each) => isSame(each, called)) && throwing(called, [...met, called]);
    });
  return (declaration) => {
    const outermost = functions.find((each) => contains(declaration, each));
    return outermost !== undefined && throwing(outermost, [outermost]);
  };
}

function contains(outer: Span, inner: Span): boolean {
  return outer.start <= inner.start && inner.end <= outer.end;
}

function isSame(one: Span, other: Span): boolean {
  return one.start === other.start && one.end === other.end;
}
