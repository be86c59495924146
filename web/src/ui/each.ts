// One piece of work for each of many things, a few at once: how far it is, what failed, and what is left.

/** So many are under way at once: the platform has others to answer too. */
const AT_ONCE = 4;

export interface Progress<T> {
  done: number;
  failed: readonly { item: T; error: unknown }[];
}

/**
 * Works through `items`, and tells of each that has ended. Once `stop` is aborted none is begun any more. Gives what
 * was not done: what failed, then what was not begun.
 */
export async function each<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
  told: (progress: Progress<T>) => void,
  stop: AbortSignal,
): Promise<T[]> {
  const failed: { item: T; error: unknown }[] = [];
  let next = 0;
  let done = 0;
  const worker = async () => {
    while (next < items.length && !stop.aborted) {
      const item = items[next++] as T;
      try {
        await work(item);
        done += 1;
      } catch (error) {
        failed.push({ item, error });
      }
      told({ done, failed: [...failed] });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return [...failed.map(({ item }) => item), ...items.slice(next)];
}
