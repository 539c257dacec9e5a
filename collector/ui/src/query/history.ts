// The searches that were run last, kept in this browser.
import { recent } from "../app/recent";

export const searches = recent("watchkeeper.searches");
