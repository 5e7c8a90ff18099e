export {
  createSearch,
  filterErrors,
  type Search,
  type SearchObserver,
  type SearchOptions,
  type SearchScope,
} from './search.ts';
