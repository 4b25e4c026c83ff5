import { containerDifferences, type ContainerDifference } from './container-differences.ts';

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

interface VerbDifference {
  /** The call, in answer-cases.ts. */
  readonly of: RegExp;
  /** Ours and theirs, with a bar between them; or a line of the comparison of fields. */
  readonly what: RegExp;
  readonly why: string;
}

/** The same, of what the verbs of containers answer. */
export const verbDifferences: readonly VerbDifference[] = [
  {
    of: /./,
    what: /^409 .*\Wcontainer ID is (not running|already paused)"} \| 409 .*\WContainer ID is \1"}$/,
    why: 'Newer Dockers write it so.',
  },
  {
    of: /\/unpause$/,
    what: /^409 (.*) \| 500 \1$/,
    why: 'It is the client’s mistake, and is told as one.',
  },
  {
    of: /^DELETE \/containers\/(one|two)$/,
    what: /^409 .*cannot remove container .*(paused|running).* \| 409 .*You cannot remove a \1 /,
    why: 'Newer Dockers write it so.',
  },
  {
    of: /resize\?/,
    what: /^400 .*invalid size of a terminal: w=.* \| 400 .*strconv/,
    why: 'Ours names what is wrong without the names of Go’s functions.',
  },
  {
    of: /\/(update|create\?name=bad4)$/,
    what: /^400 .*invalid restart policy: unknown policy 'sometimes'.* \| 400 .*invalid restart policy 'sometimes'/,
    why: 'Newer Dockers name the policies that there are.',
  },
  {
    of: /\/(kill\?signal=\w+|create\?name=bad7)$/,
    what: /^400 .*"invalid signal: (\w+)"} \| 400 .*"Invalid signal: \1"}$/,
    why: 'Newer Dockers write it so.',
  },
  {
    of: /top\?ps_args=-nosuch|archive\?path=\/bin\/busybox|create\?name=bad2$/,
    what: /^400 (.*) \| 500 \1$/,
    why: 'It is the client’s mistake, and is told as one.',
  },
  {
    of: /^POST \/exec\/{exec}\/start$/,
    what: /^409 .*"exec command ID is already running"} \| 409 .*"Error: Exec command ID is already/,
    why: 'Newer Dockers write it so.',
  },
  {
    of: /archive\?path=$/,
    what: /^400 .*'path' cannot be empty.* \| 400 .*pathcannot be empty/,
    why: 'Newer Dockers write it so.',
  },
  {
    of: /(restart|stop)\?t=x$/,
    what: /^400 .*invalid number of seconds.* \| 500 .*strconv/,
    why: 'It is the client’s mistake, and is told as one.',
  },
  {
    of: /since=x$/,
    what: /^400 .*is not seconds since 1970"} \| 500 .*strconv/,
    why: 'It is the client’s mistake, and is told as one.',
  },
  {
    of: /tail=x$/,
    what: /^400 .*tail value must be a positive integer or .* \| 200 /,
    why: 'Docker takes any other word for "all", which hides a slip of the pen.',
  },
  {
    of: /\/wait/,
    what: /^200 application\/json {"StatusCode":137} \| 200 application\/json {"Error":null,"StatusCode":137}$/,
    why: 'Newer versions of the API leave it out where there is none.',
  },
  {
    of: /\/containers\/bad\/start$/,
    what: /^400 .*failed to create task for container: .*container process: (.*) \| 400 .*: \1$/,
    why: 'Newer Dockers begin it so; it is not runc alone that starts containers here.',
  },
  {
    of: /create\?name=bad$/,
    what: /"no command specified"} \| 400 .*"No command specified"}$/,
    why: 'Newer Dockers write it so.',
  },
  // What else differs between documents is listed in container-differences.ts.
  ...containerDifferences.filter(({ of }) => of.test('GET /containers/doc/json')).map(ofTwo),
  ...containerDifferences.filter(({ of }) => of.test('GET /containers/doc/stats')).map(ofTwo),
];

function ofTwo({ what, why }: ContainerDifference): VerbDifference {
  return { of: /^GET \/containers\/(one|two)\/(json|stats)/, what, why };
}
