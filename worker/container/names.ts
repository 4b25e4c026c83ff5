/** Names for containers: what they may be, and two words for one that is given none. */
import { SwarmError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';

const adjectives = (
  'able agile amber ample apt autumn azure balmy bold brave breezy bright brisk calm candid ' +
  'careful cheerful chestnut civil clear clever coastal cobalt cordial crisp daring deft ' +
  'diligent dusky early earnest even fair faithful fearless fleet fond frank free fresh gallant ' +
  'gentle genial glad golden graceful grand handy happy hardy hearty honest humble jolly jovial ' +
  'keen kind lively loyal lucid lucky mellow merry mild modest neat nimble noble northern ' +
  'patient plucky polite prompt proud quick quiet radiant ready robust rosy ruddy sandy serene ' +
  'sharp silver sincere snug sober solid southern spry steady still stout sturdy sunny swift ' +
  'tidal tidy trim trusty upright valiant verdant vivid warm wary western wise witty zesty'
).split(' ');

const surnames = (
  'amundsen anson baffin barents baret bass beaufort bering bligh boenechea bonny bougainville ' +
  'bowditch brendan byron cabot cabral cartier cavendish chichester columbus cook cortereal ' +
  'dampier davis deshnev diaz drake dumont eannes elcano erikson fitzroy flinders fox franklin ' +
  'frobisher furneaux gama gellner gilbert grenfell halley hartog hawkins henson heyerdahl hotu ' +
  'hudson janszoon johnson jourdain knox kotzebue krusenstern lancaster laperouse lapita ' +
  'lazarev macarthur magellan magnus makarov malaspina maury mawson mccrae moitessier munk ' +
  'nansen naomi nelson nordenskiold ommanney orellana parry peary polo ponce pytheas quiros ' +
  'raleigh roggeveen ross saavedra schouten scoresby scott shackleton slocum tasman torres ' +
  'tupaia urdaneta vancouver vespucci wallis weddell wegener wilkes worsley yonge zheng'
).split(' ');

/** After so many names that were taken, a number makes the difference. */
const triesMax = 6;

export function generateName(random: Random, isTaken: (name: string) => boolean): string {
  for (let tries = 0; ; tries++) {
    const pick = (words: readonly string[]) => words[random.integer(words.length)] ?? '';
    const suffix = tries < triesMax ? '' : String(random.integer(10 ** Math.min(tries, 9)));
    const name = `${pick(adjectives)}_${pick(surnames)}${suffix}`;
    if (!isTaken(name)) return name;
  }
}

const valid = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

export function isValidName(name: string): boolean {
  return valid.test(name);
}

/** `taken` are names with the ids that have them; an empty name: one is made up. */
export function freeName(
  given: string,
  taken: ReadonlyMap<string, string>,
  random: Random,
): string {
  if (given === '') return generateName(random, (name) => taken.has(name));
  if (!isValidName(given)) {
    throw new SwarmError(
      'invalid-argument',
      `Invalid container name (${given}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  const name = given.replace(/^\//, '');
  const owner = taken.get(name);
  if (owner === undefined) return name;
  throw new SwarmError(
    'already-exists',
    `Conflict. The container name "/${name}" is already in use by container "${owner}". You ` +
      'have to remove (or rename) that container to be able to reuse that name.',
  );
}

/** The name that was found; what is wrong with it is told as Docker tells it of another name. */
export function renamed(find: () => string): string {
  try {
    return find();
  } catch (error) {
    const { code, message } = SwarmError.from(error);
    throw new SwarmError(code, `Error when allocating new name: ${message}`, { cause: error });
  }
}
