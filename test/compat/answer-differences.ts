/** Where our answers to mistakes differ from Docker 20.10's on purpose, and why. */
interface AnswerDifference {
  /** The mistake's title, in endpoint-cases.ts. */
  readonly of: RegExp;
  /** Status and message. */
  readonly ours: RegExp;
  readonly theirs: RegExp;
  readonly why: string;
}

export const answerDifferences: readonly AnswerDifference[] = [
  {
    of: /filters=\{$/,
    ours: /^400 invalid filter$/,
    theirs: /^[45]00 .*unexpected end of JSON input$/,
    why: 'Newer Dockers say so, and never call it a fault of their own.',
  },
  {
    of: /filters=\{"nosuch/,
    ours: /^400 invalid filter 'nosuch'$/,
    theirs: /^400 Invalid filter 'nosuch'$/,
    why: 'Newer Dockers write it so.',
  },
  {
    of: / \{$/,
    ours: /^400 invalid JSON: /,
    theirs: /^[45]00 unexpected EOF$/,
    why: 'It is the client’s mistake, and is told with its place.',
  },
  {
    of: /BAD/,
    ours: /^400 invalid reference format: "BAD": repository name \(library\/BAD\) must be lowercase$/,
    theirs: /^400 invalid reference format: repository name must be lowercase$/,
    why: 'Newer Dockers name the repository; we name what was given as well.',
  },
  {
    of: /nosuch\/(logs|resize|rename|archive|exec \{\})$/,
    ours: /^404 .*nosuch( not found)?$/,
    theirs: /^[45]00 /,
    why: 'What a request is about is looked up before the rest of it is read.',
  },
  {
    of: /nosuch\/kill/,
    ours: /^404 cannot kill container: nosuch: No such container: nosuch$/,
    theirs: /^404 Cannot kill container: nosuch: No such container: nosuch$/,
    why: 'Newer Dockers write it so.',
  },
  {
    of: /^GET \/images\/nosuch\/json/,
    ours: /^404 No such image: nosuch:latest$/,
    theirs: /^404 no such image: nosuch: No such image: nosuch:latest$/,
    why: 'Newer Dockers say it once.',
  },
  {
    of: /^POST \/images\/nosuch\/push/,
    ours: /An image does not exist locally with the tag: nosuch/,
    theirs: /^400 Bad parameters and missing X-Registry-Auth: EOF$/,
    why: 'Newer Dockers push without credentials where none are given.',
  },
  {
    of: /(nodes|services|secrets|configs)\/nosuch\/update \{\}$/,
    ours: /^400 invalid \w+ version '': not a number$/,
    theirs: /^400 invalid \w+ version/,
    why: 'Ours names what is wrong without the names of Go’s functions.',
  },
  {
    of: /since=x/,
    ours: /^400 invalid value for 'since': "x" is not seconds since 1970$/,
    theirs: /^500 strconv\.ParseInt/,
    why: 'It is the client’s mistake, and is told as one.',
  },
];
