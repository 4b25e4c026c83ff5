/**
 * Scripts of what nodes are told and what they then do and say. A block is commands, "----", and
 * what they print, up to an empty line. Lines that begin with "#" tell what it is about.
 */
import { runCommand, type Stage } from './commands.ts';
import { ScriptedGroup } from './scripted-group.ts';
import { parseScene } from './settings.ts';

const divider = '----';

/** Runs the script and returns it with what its commands really print. */
export function runTranscript(text: string): string {
  const written: string[] = [];
  let output: string[] = [];
  let isQuiet = false;
  const say = (line: string) => {
    if (!isQuiet) output.push(line);
  };
  const { conf, config } = parseScene(['1']);
  const stage: Stage = {
    group: new ScriptedGroup(conf, config, () => {}),
    say,
    quietly(work) {
      const before = isQuiet;
      isQuiet = true;
      try {
        work();
      } finally {
        isQuiet = before;
      }
    },
  };
  let isOutput = false;
  for (const [at, line] of text.split('\n').entries()) {
    if (isOutput && line !== '') continue;
    isOutput = false;
    written.push(line);
    if (line === divider) {
      isOutput = true;
      written.push(...output);
    }
    if (line === divider || line === '' || line.startsWith('#')) {
      output = [];
      continue;
    }
    try {
      runCommand(stage, line);
    } catch (error) {
      throw new Error(`line ${at + 1}, "${line}": ${String(error)}`, { cause: error });
    }
  }
  return written.join('\n');
}
