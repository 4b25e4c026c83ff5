/** What is wrong with a template, or with what it asked of its data. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';

  constructor(problem: string) {
    super(`template: ${problem}`);
  }
}
