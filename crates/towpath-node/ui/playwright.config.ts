// The tests of the dashboard, in a real browser.
import { defineConfig } from '@playwright/test'

export default defineConfig({
  testDir: 'tests',
  // A test starts nodes of its own; several at once would share two cores with a browser each.
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: [['list'], ['./tests/tally.ts']],
  use: {
    launchOptions: { executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] },
    viewport: { width: 1360, height: 860 },
  },
})
