// Takes out of a package-lock.json the addresses at which packages ask for money: the lock names no host.
import { readFileSync, writeFileSync } from 'node:fs'

const path = process.argv[2]
const lock = JSON.parse(readFileSync(path, 'utf8'))
for (const entry of Object.values(lock.packages)) delete entry.funding
writeFileSync(path, JSON.stringify(lock, null, 2) + '\n')
