/** Seconds after which tap ends a test file and says what it waited for. */
export function fileTimeout(file: string): number {
  // The first time, images are built from nothing.
  return file === 'test/images.test.ts' ? 1_200 : 240;
}
