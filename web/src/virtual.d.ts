// What the build makes (vite.config.ts).

declare module "virtual:hints" {
  /** What the schema's comments say of the fields of commands: `Script.interpreter` to a sentence. */
  const hints: Record<string, string>;
  export default hints;
}
