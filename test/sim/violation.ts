/** What a checker found: a promise was broken. */
export class Violation extends Error {
  override readonly name = 'Violation';
  /** Which promise, such as `election safety`. */
  readonly rule: string;

  constructor(rule: string, message: string) {
    super(`${rule}: ${message}`);
    this.rule = rule;
  }
}
