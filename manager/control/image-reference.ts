/** The grammar of an image's name: [registry[:port]/]path[:tag][@digest]. */
const registry =
  /^(?:\[[0-9a-fA-F:]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::[0-9]{1,5})?$/;
const component = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
const digestPattern = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const maxNameLength = 255;

export function isImageReference(reference: string): boolean {
  const at = reference.indexOf('@');
  const digest = at < 0 ? undefined : reference.slice(at + 1);
  if (digest !== undefined && !digestPattern.test(digest)) return false;
  let name = at < 0 ? reference : reference.slice(0, at);
  const colon = name.lastIndexOf(':');
  if (colon > name.lastIndexOf('/')) {
    if (!tagPattern.test(name.slice(colon + 1))) return false;
    name = name.slice(0, colon);
  }
  // Docker takes 64 hex digits for an image's id, which no registry could resolve.
  if (name.length > maxNameLength || /^[0-9a-f]{64}$/.test(name)) return false;
  const [first = '', ...others] = name.split('/');
  const hasRegistry =
    others.length > 0 && (/[.:]/.test(first) || first === 'localhost' || /[A-Z]/.test(first));
  if (hasRegistry && !registry.test(first)) return false;
  return (hasRegistry ? others : [first, ...others]).every((part) => component.test(part));
}
