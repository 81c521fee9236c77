/** Text that is HTML already. */
export interface Html {
  readonly html: string;
}

/** What a template may hold: text is escaped, HTML is not, arrays are joined, null leaves nothing. */
export type Content = string | number | Html | null | readonly Content[];

/** Write HTML; text put into the template is escaped, in elements and quoted attributes alike. */
export function html(strings: TemplateStringsArray, ...contents: Content[]): Html {
  return { html: strings.map((string, i) => string + (i < contents.length ? markup(contents[i]) : "")).join("") };
}

/** Take a string for HTML without escaping: for our own style sheets and drawings alone. */
export function trusted(text: string): Html {
  return { html: text };
}

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function markup(content: Content): string {
  if (content === null) return "";
  if (typeof content === "string") return content.replace(/[&<>"']/g, (character) => entities[character]);
  if (typeof content === "number") return String(content);
  if ("html" in content) return content.html;
  return content.map(markup).join("");
}
