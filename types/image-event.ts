/** What happened to an image of a node. */
export interface ImageEvent {
  readonly action:
    | 'pull'
    | 'push'
    | 'save'
    | 'import'
    | 'load'
    | 'tag'
    | 'untag'
    | 'delete'
    | 'prune';
  /** Empty for `prune`, as the name. */
  readonly id: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Of `prune`. */
  readonly reclaimedBytes?: number;
  readonly timeMs: number;
}
