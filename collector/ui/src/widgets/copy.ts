// Copies text to the clipboard, also where the page is not served over TLS, and
// reads it where the browser allows that.
import { toast } from "./Toasts";

export async function copy(text: string, what: string): Promise<void> {
  const done = (await writeClipboard(text)) || copyBySelection(text);
  toast(done ? `${what} copied` : `The browser does not allow copying: ${what.toLowerCase()} not copied`);
}

async function writeClipboard(text: string): Promise<boolean> {
  if (!window.isSecureContext) return false;
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

function copyBySelection(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed";
  area.style.opacity = "0";
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  // The only way to copy outside secure contexts, deprecated as it is.
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  const done = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return done;
}

/** The clipboard's text; undefined when the browser does not give it. */
export async function pasted(): Promise<string | undefined> {
  if (!window.isSecureContext) return undefined;
  try {
    return await navigator.clipboard.readText();
  } catch {
    return undefined;
  }
}
