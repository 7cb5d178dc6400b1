/** What is looked for in lines of log-files.ts, with the goal of each in MB/s. */
export const GREPS = [
  // No four letters of it stand together: the index tells nothing, and all is unpacked.
  { name: 'of a rare word for which the index is no help', pattern: 'zeb.a.ish', goal: 500 },
  { name: 'of a rare word', pattern: 'zebrafish', goal: 10_000 },
  { name: 'of an expression', pattern: 'zebra(fish|cat)', goal: 10_000 },
  { name: 'of an id that is not there', pattern: 'request=7b41c34047fdd2f1', goal: 10_000 },
]
