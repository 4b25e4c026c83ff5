/** What is wrong with a template, or with what it asked of its data. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
  /** The template itself was well formed. */
  readonly whileRunning: boolean;

  constructor(message: string, options: { whileRunning: boolean }) {
    super(`template: ${message}`);
    this.whileRunning = options.whileRunning;
  }
}
