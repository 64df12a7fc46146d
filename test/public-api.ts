/**
 * What the packages publish, read from their sources: every name that an `index.ts` exports, with where it is declared,
 * its doc comment and its members. Nothing is compiled; a name is followed through its `export … from` alone.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Class, Declaration, ExportNamedDeclaration, Span, TSSignature, TSType } from 'oxc-parser';
import { docComment, parseSource, textOf } from './source.ts';
import type { Source } from './source.ts';
import { throwsIn } from './throws.ts';

const rootDir = join(import.meta.dirname, '..');

/** A name that a package exports. */
export interface PublicName {
  readonly name: string;
  /** Where it is declared, from the repository's root. */
  readonly file: string;
  /** Its doc comment without the stars; `undefined` for none. */
  readonly doc: string | undefined;
  /** What belongs to it when it is an interface, an object type or a class, and nobody calls private. */
  readonly members: readonly PublicMember[];
  /** The interfaces that a class implements: these describe its members. */
  readonly implemented: readonly string[];
  /** A function that has a `throw` of its own. */
  readonly throws: boolean;
}

/** A property or method. */
export interface PublicMember {
  readonly name: string;
  /** Its doc comment without the stars; `undefined` for none. */
  readonly doc: string | undefined;
  /** The source text of its type; `undefined` for a method. */
  readonly type: string | undefined;
  /** A method of a class that has a `throw` of its own. */
  readonly throws: boolean;
}

/** A package that others can import. */
export interface PublishedPackage {
  /** Its directory, from the repository's root. */
  readonly directory: string;
  readonly names: readonly PublicName[];
}

/** The packages that have an `index.ts`. */
export function publishedPackages(): readonly PublishedPackage[] {
  return ['packages', 'plugins']
    .flatMap((group) => readdirSync(join(rootDir, group)).map((name) => `${group}/${name}`))
    .filter((directory) => existsSync(join(rootDir, directory, 'src/index.ts')))
    .map((directory) => ({ directory, names: exportedNames(`${directory}/src/index.ts`) }));
}

/** The names that an `index.ts` exports, each in an `export { … } from`. */
function exportedNames(indexPath: string): readonly PublicName[] {
  return read(indexPath).program.body.flatMap((statement) => {
    if (statement.type !== 'ExportNamedDeclaration' || !statement.source?.value.startsWith('./')) {
      throw new Error(`${indexPath} has something else than export { … } from './…'`);
    }
    const source = read(join(indexPath, '..', statement.source.value));
    return statement.specifiers.map(({ local }) => publicName(source, 'name' in local ? local.name : local.value));
  });
}

function read(path: string): Source {
  return parseSource(path, readFileSync(join(rootDir, path), 'utf8'));
}

/** A name as its source declares it. */
export function publicName(source: Source, name: string): PublicName {
  for (const statement of source.program.body) {
    if (statement.type !== 'ExportNamedDeclaration' || !declares(statement, name)) continue;
    const node = statement.declaration;
    return {
      name,
      file: relative(rootDir, join(rootDir, source.path)),
      doc: docComment(source, statement),
      members: membersOf(source, node),
      implemented: node?.type === 'ClassDeclaration' ? interfacesOf(source, node) : [],
      throws: node?.type !== 'ClassDeclaration' && throwsIn(source)(statement),
    };
  }
  throw new Error(`${source.path} does not declare ${name}`);
}

function declares({ declaration }: ExportNamedDeclaration, name: string): boolean {
  if (declaration?.type === 'VariableDeclaration') {
    return declaration.declarations.some(({ id }) => id.type === 'Identifier' && id.name === name);
  }
  return declaration !== null && 'name' in (declaration.id ?? {}) && nameOf(declaration) === name;
}

function nameOf(declaration: Exclude<Declaration, { readonly type: 'VariableDeclaration' }>): string | undefined {
  return declaration.id !== null && 'name' in declaration.id ? declaration.id.name : undefined;
}

function interfacesOf(source: Source, node: Class): readonly string[] {
  return (node.implements ?? []).map(({ expression }) => textOf(source, expression));
}

function membersOf(source: Source, declaration: Declaration | null): readonly PublicMember[] {
  if (declaration?.type === 'TSInterfaceDeclaration') return membersOfType(source, declaration.body.body);
  if (declaration?.type === 'TSTypeAliasDeclaration') return membersWithin(source, declaration.typeAnnotation);
  return declaration?.type === 'ClassDeclaration' ? membersOfClass(source, declaration) : [];
}

function membersOfType(source: Source, signatures: readonly TSSignature[]): readonly PublicMember[] {
  return signatures.flatMap((signature) => {
    if (signature.type !== 'TSPropertySignature' && signature.type !== 'TSMethodSignature') return [];
    const type = signature.type === 'TSPropertySignature' ? signature.typeAnnotation?.typeAnnotation : undefined;
    return [memberOf(source, { node: signature, name: textOf(source, signature.key), type })];
  });
}

/** The members of the object types that a type joins. Of the variants of a union its own comment speaks. */
function membersWithin(source: Source, type: TSType): readonly PublicMember[] {
  if (type.type === 'TSTypeLiteral') return membersOfType(source, type.members);
  if (type.type === 'TSParenthesizedType') return membersWithin(source, type.typeAnnotation);
  return type.type === 'TSIntersectionType' ? type.types.flatMap((each) => membersWithin(source, each)) : [];
}

function membersOfClass(source: Source, node: Class): readonly PublicMember[] {
  return node.body.body.flatMap((element) => {
    if (element.type !== 'MethodDefinition' && element.type !== 'PropertyDefinition') return [];
    const isPublic = element.key.type !== 'PrivateIdentifier' && element.accessibility !== 'private';
    const isPlain = !('kind' in element) || element.kind !== 'constructor';
    if (!isPublic || !isPlain) return [];
    const type = element.type === 'PropertyDefinition' ? element.typeAnnotation?.typeAnnotation : undefined;
    return [memberOf(source, { node: element, name: textOf(source, element.key), type })];
  });
}

interface MemberParts {
  readonly node: Span;
  readonly name: string;
  readonly type: TSType | undefined;
}

function memberOf(source: Source, { node, name, type }: MemberParts): PublicMember {
  return {
    name,
    doc: docComment(source, node),
    type: type && textOf(source, type),
    throws: throwsIn(source)(node),
  };
}
