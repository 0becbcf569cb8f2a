import { defineConfig } from '@playwright/test';

const chromium = {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
};
const port = Number(process.env.STATES_PORT ?? 7399);

export default defineConfig({
  testDir: 'e2e',
  outputDir: '../../build/e2e',
  fullyParallel: true,
  workers: 2,
  timeout: 120_000,
  expect: { timeout: 15_000 },
  forbidOnly: true,
  reporter: [['list']],
  use: { launchOptions: chromium, trace: 'off', actionTimeout: 30_000 },
  projects: [
    { name: 'unit', testMatch: 'unit/*.spec.ts' },
    { name: 'stories', testMatch: 'stories/*.spec.ts' },
    { name: 'states', testMatch: 'states/*.spec.ts', use: { baseURL: `http://127.0.0.1:${port}` } },
  ],
  webServer: { command: `npx vite preview --host 127.0.0.1 --port ${port} --strictPort`, url: `http://127.0.0.1:${port}/`, reuseExistingServer: false },
});
