import { metadataName } from './documents.ts';

const maxDepth = 20; // deeper ones cannot be stored
const maxNamed = 100;

/** Keys of metadata, at every depth, that metadata cannot have: each with its path. */
export function wrongNames(value: unknown, path: string): { field: string; name: string }[] {
  return namesWithin(value, path, 0).slice(0, maxNamed);
}

function namesWithin(value: unknown, path: string, depth: number): { field: string; name: string }[] {
  if (typeof value !== 'object' || value === null || depth === maxDepth) return [];
  return Object.entries(value).flatMap(([name, part]) => {
    const field = `${path}.${name}`;
    const wrong = !Array.isArray(value) && !metadataName.test(name) ? [{ field, name }] : [];
    return [...wrong, ...namesWithin(part, field, depth + 1)];
  });
}
