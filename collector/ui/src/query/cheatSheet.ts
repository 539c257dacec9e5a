// The search syntax in examples, read from the page that documents it.
import page from "../../../../docs/search-syntax.md?raw";

export interface Example {
  kind: string;
  example: string;
  finds: string;
}

/** The rows of the page's first table. */
export function readExamples(text: string): Example[] {
  const [, section = ""] = /^## Cheat sheet\n([\s\S]*?)^## /m.exec(text) ?? [];
  return section
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| kind"))
    .map((line) => {
      // A bar inside of a cell is written \|.
      const cells = line.slice(1, -1).split(/(?<!\\)\|/);
      const [kind = "", example = "", finds = ""] = cells.map((cell) => cell.trim().replaceAll("\\|", "|"));
      return { kind, example: example.replaceAll("`", ""), finds };
    });
}

export const EXAMPLES: readonly Example[] = readExamples(page);
