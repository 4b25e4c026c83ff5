/** Makes the tree of a template. Control structures nest; pipelines are lists of commands. */
import { lexAction, lexPieces, syntaxError, type Piece, type Token } from './lex.ts';

type Operand =
  | { readonly kind: 'dot' }
  | { readonly kind: 'nil' }
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline };

/** An operand and the fields that are looked up in it, one in another. */
export interface Term {
  readonly operand: Operand;
  readonly fields: readonly string[];
}

export interface Pipeline {
  readonly variables: readonly string[];
  /** `:=` makes the variables; `=` sets them. */
  readonly declares: boolean;
  readonly commands: readonly (readonly Term[])[];
  /** As written, and where: for errors. */
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

export type TemplateNode =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipeline: Pipeline }
  | {
      readonly kind: 'if' | 'with' | 'range';
      readonly pipeline: Pipeline;
      readonly body: readonly TemplateNode[];
      readonly otherwise: readonly TemplateNode[];
    }
  | { readonly kind: 'break' | 'continue' }
  | { readonly kind: 'template'; readonly name: string; readonly pipeline: Pipeline | undefined };

export interface ParsedTemplate {
  readonly root: readonly TemplateNode[];
  readonly defined: ReadonlyMap<string, readonly TemplateNode[]>;
}

export function parseTemplate(source: string, functions: ReadonlySet<string>): ParsedTemplate {
  const parser = new TemplateParser(lexPieces(source), functions);
  const { nodes } = parser.block([]);
  return { root: nodes, defined: parser.defined };
}

interface Block {
  readonly nodes: readonly TemplateNode[];
  /** The word that ended it; the tokens after it. */
  readonly ended: string;
  readonly tokens: readonly Token[];
  readonly piece: Piece | undefined;
}

class TemplateParser {
  readonly defined = new Map<string, readonly TemplateNode[]>();
  readonly #pieces: readonly Piece[];
  readonly #functions: ReadonlySet<string>;
  #position = 0;
  #ranges = 0;

  constructor(pieces: readonly Piece[], functions: ReadonlySet<string>) {
    this.#pieces = pieces;
    this.#functions = functions;
  }

  /** Nodes up to one of the words that end the block, or up to the end where none may. */
  block(enders: readonly string[]): Block {
    const nodes: TemplateNode[] = [];
    let line = 1;
    while (this.#position < this.#pieces.length) {
      const piece = this.#pieces[this.#position++]!;
      line = piece.line;
      if (piece.kind === 'text') {
        nodes.push({ kind: 'text', text: piece.text });
        continue;
      }
      const tokens = lexAction(piece);
      const word = tokens[0]?.kind === 'word' ? tokens[0].text : '';
      if (word === 'end' || word === 'else') {
        if (!enders.includes(word)) throw syntaxError(piece.line, `unexpected {{${word}}}`);
        return { nodes, ended: word, tokens: tokens.slice(1), piece };
      }
      const node = this.#node(word, tokens, piece);
      if (node !== undefined) nodes.push(node);
    }
    if (enders.length > 0) throw syntaxError(line, 'unexpected EOF');
    return { nodes, ended: '', tokens: [], piece: undefined };
  }

  #node(word: string, tokens: readonly Token[], piece: Piece): TemplateNode | undefined {
    const rest = tokens.slice(1);
    if (word === 'if' || word === 'with' || word === 'range')
      return this.#control(word, rest, piece);
    if (word === 'break' || word === 'continue') {
      if (this.#ranges === 0) throw syntaxError(piece.line, `{{${word}}} outside {{range}}`);
      return { kind: word };
    }
    if (word === 'define' || word === 'block' || word === 'template') {
      return this.#named(word, rest, piece);
    }
    return { kind: 'action', pipeline: this.#pipeline(tokens, piece, 'command') };
  }

  #control(kind: 'if' | 'with' | 'range', tokens: readonly Token[], piece: Piece): TemplateNode {
    const pipeline = this.#pipeline(tokens, piece, kind);
    if (kind === 'range') this.#ranges++;
    const body = this.block(['end', 'else']);
    if (kind === 'range') this.#ranges--;
    if (body.ended === 'end') return { kind, pipeline, body: body.nodes, otherwise: [] };
    const chained = body.tokens[0]?.text;
    if (chained === 'if' || chained === 'with') {
      const inner = this.#control(chained, body.tokens.slice(1), body.piece ?? piece);
      return { kind, pipeline, body: body.nodes, otherwise: [inner] };
    }
    if (chained !== undefined) {
      throw syntaxError(piece.line, `unexpected ${JSON.stringify(chained)} in else`);
    }
    return { kind, pipeline, body: body.nodes, otherwise: this.block(['end']).nodes };
  }

  #named(
    word: 'define' | 'block' | 'template',
    tokens: readonly Token[],
    piece: Piece,
  ): TemplateNode | undefined {
    const [first, ...rest] = tokens;
    if (first?.kind !== 'string') {
      throw syntaxError(piece.line, `missing the quoted name in ${word} clause`);
    }
    const name = String(first.value);
    const pipeline = rest.length === 0 ? undefined : this.#pipeline(rest, piece, word);
    if (word !== 'template') this.defined.set(name, this.block(['end']).nodes);
    return word === 'define' ? undefined : { kind: 'template', name, pipeline };
  }

  #pipeline(tokens: readonly Token[], piece: Piece, context: string): Pipeline {
    const variables: string[] = [];
    let rest = tokens;
    let declares = false;
    const assign = tokens.findIndex(({ text }) => text === ':=' || text === '=');
    if (assign >= 0) {
      declares = tokens[assign]!.text === ':=';
      for (const token of tokens.slice(0, assign)) {
        if (token.kind === 'variable') variables.push(token.text);
        else if (token.text !== ',') {
          throw syntaxError(piece.line, `unexpected ${JSON.stringify(token.text)} in ${context}`);
        }
      }
      rest = tokens.slice(assign + 1);
    }
    const reader = { tokens: rest, at: 0 };
    const commands = this.#commands(reader, piece, context);
    if (reader.at < rest.length) throw syntaxError(piece.line, 'unexpected right paren');
    const text = piece.text.trim();
    const column = piece.column + piece.text.indexOf(text);
    return { variables, declares, commands, text, line: piece.line, column };
  }

  #commands(
    reader: { readonly tokens: readonly Token[]; at: number },
    piece: Piece,
    context: string,
  ): Term[][] {
    const commands: Term[][] = [];
    let command: Term[] = [];
    for (;;) {
      const token = reader.tokens[reader.at];
      const ends = token === undefined || token.text === ')';
      if (ends || token.text === '|') {
        if (command.length === 0) throw syntaxError(piece.line, `missing value for ${context}`);
        commands.push(command);
        command = [];
        if (ends) return commands;
        reader.at++;
        continue;
      }
      command.push(this.#term(reader, piece));
    }
  }

  #term(reader: { readonly tokens: readonly Token[]; at: number }, piece: Piece): Term {
    const fields: string[] = [];
    let operand: Operand;
    const token = reader.tokens[reader.at]!;
    if (token.kind === 'field') {
      operand = { kind: 'dot' };
    } else if (token.text === '(') {
      reader.at++;
      const commands = this.#commands(reader, piece, 'parenthesized pipeline');
      if (reader.tokens[reader.at]?.text !== ')')
        throw syntaxError(piece.line, 'unclosed left paren');
      reader.at++;
      const { line, column, text } = piece;
      const pipeline = { variables: [], declares: false, commands, text, line, column };
      operand = { kind: 'pipeline', pipeline };
    } else {
      operand = this.#simple(token, piece);
      reader.at++;
    }
    for (let next = reader.tokens[reader.at]; next?.kind === 'field';) {
      // `$x .Name` are two operands, `$x.Name` is one.
      if (next.spaced && (fields.length > 0 || operand.kind !== 'dot' || token.kind === 'dot'))
        break;
      fields.push(next.text.slice(1));
      next = reader.tokens[++reader.at];
    }
    return { operand, fields };
  }

  #simple(token: Token, piece: Piece): Operand {
    const { kind, text, value } = token;
    if (kind === 'dot') return { kind: 'dot' };
    if (kind === 'variable') return { kind: 'variable', name: text };
    if (kind === 'string' || kind === 'number' || kind === 'char') {
      return { kind: 'literal', value: value ?? '' };
    }
    if (text === 'true' || text === 'false') return { kind: 'literal', value: text === 'true' };
    if (text === 'nil') return { kind: 'nil' };
    if (kind !== 'word') {
      throw syntaxError(piece.line, `unexpected ${JSON.stringify(text)} in operand`);
    }
    if (!this.#functions.has(text)) {
      throw syntaxError(piece.line, `function ${JSON.stringify(text)} not defined`);
    }
    return { kind: 'function', name: text };
  }
}
