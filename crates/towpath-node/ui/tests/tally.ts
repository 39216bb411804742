// Says at the end what `cargo xtask` counts tests by.
import type { FullResult, Reporter, TestCase, TestResult } from '@playwright/test/reporter'

export default class Tally implements Reporter {
  private all = new Map<string, TestResult['status']>()
  onTestEnd(test: TestCase, result: TestResult) {
    // The last attempt counts.
    this.all.set(test.id, result.status)
  }
  onEnd({ status }: FullResult) {
    const count = (...of: string[]) => [...this.all.values()].filter(it => of.includes(it)).length
    const failed = count('failed', 'timedOut', 'interrupted')
    const word = status === 'passed' ? 'ok' : 'FAILED'
    console.log(`\ntest result: ${word}. ${count('passed')} passed; ${failed} failed; ${count('skipped')} ignored`)
  }
}
