import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import { ownPolicies, policy } from './vite.preview.ts';

export default defineConfig({
  plugins: [svelte(), ownPolicies()],
  preview: { headers: { 'Content-Security-Policy': policy("'self'") } },
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    manifest: true,
    rollupOptions: { input: ['index.html', 'play.html'] }, // the second is what the sallyport command shows on a person's own machine
    assetsDir: 'static', // /assets is a page
    assetsInlineLimit: 0, // fonts and pictures stay files: the pages allow no data: sources
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 400,
  },
});
