// Writes a network of a thousand processes and two thousand channels, all of them in use: `node tests/large.mjs [sets] > large.yaml`.
const sets = Number(process.argv[2] ?? 333)
const BRANCHES = 5
const lines = ['version: 1', 'name: large', 'channels:']
for (let s = 0; s < sets; s++) {
  lines.push(`  in-${s}: {capacity: 16}`)
  for (let b = 0; b < BRANCHES; b++) lines.push(`  branch-${s}-${b}: {capacity: 16}`)
}
lines.push('processes:')
for (let s = 0; s < sets; s++) {
  const branches = Array.from({ length: BRANCHES }, (_, b) => `branch-${s}-${b}`)
  lines.push(`  source-${s}: {uses: load, every: ${90 + (s % 20)}ms, message: {n: "{n}"}, out: in-${s}}`)
  lines.push(`  spread-${s}: {uses: copy, in: in-${s}, out: [${branches.join(', ')}]}`)
  lines.push(`  sink-${s}: {uses: log, in: [${branches.join(', ')}]}`)
}
console.log(lines.join('\n'))
