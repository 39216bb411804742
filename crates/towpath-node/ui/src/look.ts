// Light or dark: what the system says, or what the reader chose.
import { effect, signal } from '@preact/signals'

export type Look = 'system' | 'light' | 'dark'
const KEY = 'towpath-look'
const system = matchMedia('(prefers-color-scheme: dark)')
const kept = localStorage.getItem(KEY)

export const look = signal<Look>(kept === 'light' || kept === 'dark' ? kept : 'system')
/** What is shown, whoever decided it. */
export const scheme = signal<'light' | 'dark'>('light')

const settle = () => {
  const next = look.value === 'system' ? (system.matches ? 'dark' : 'light') : look.value
  document.documentElement.dataset.look = next
  scheme.value = next
}
system.addEventListener('change', settle)
effect(() => {
  settle()
  if (look.value === 'system') localStorage.removeItem(KEY)
  else localStorage.setItem(KEY, look.value)
})
