// How the dashboard becomes the few files that the program carries.
//
// What always holds: names without hashes, so that a change of a word is a change of one committed file; the program answers with an
// ETag instead. No source maps, nothing that depends on the day or the machine: `cargo xtask ui` compares what is built with what is
// committed.
import { defineConfig } from 'vite'

export default defineConfig({
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    outDir: 'dist',
    assetsInlineLimit: 0,
    modulePreload: false,
    cssCodeSplit: false,
    rolldownOptions: {
      output: {
        entryFileNames: 'app.js',
        chunkFileNames: '[name].js',
        assetFileNames: asset => (asset.names[0]?.endsWith('.css') ? 'app.css' : '[name][extname]'),
      },
    },
  },
  server: { proxy: { '/api': process.env.TOWPATH_URL ?? 'http://127.0.0.1:7070' } },
})
